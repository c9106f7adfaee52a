//! Names and passwords: the one path for HTTP Basic and for login (`django.contrib.auth.authenticate` with
//! `ModelBackend`), so that unknown, inactive and unusable accounts cost what a wrong password costs.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::blocking::Lanes;
use crate::db::{DbError, User};
use crate::django::backends::authenticating;
use crate::django::hashers::{EncodedPassword, Unusable, verify_nobody};
use crate::django::negotiation::Renderer;
use crate::error::{Error, Kind};
use crate::server::State;

/// Passwords that wait for each one that is hashed: some seconds' worth of Django's current hashes.
const QUEUE_EACH: usize = 16;

/// How long a password waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where passwords are hashed: one core stays free for everything else, and a flood of them is turned away.
pub fn lanes(cores: usize) -> Arc<Lanes> {
    let most = cores.saturating_sub(1).max(1);
    Lanes::new(most, most * QUEUE_EACH)
}

/// The user of this name and password whom a backend admits. The connection is back in the pool before hashing begins.
/// Where too many wait already, the database is not asked.
///
/// # Errors
/// 503: the database's, or too many passwords at once.
pub async fn authenticate(
    state: &State,
    username: String,
    password: Zeroizing<String>,
    renderer: Renderer,
) -> Result<Option<User>, Error> {
    if !state.hashing.have_room() {
        return Err(busy(state, renderer));
    }
    let user = state
        .db
        .run(move |connection, table| table.find_by_username(connection, &username))
        .await
        .map_err(|error: DbError| Error::unavailable(&error, renderer))?;
    let (settings, complaints) = (Arc::clone(&state.settings), Arc::clone(&state.complaints));
    let verify = move || {
        let Some(user) = user else {
            verify_nobody(&password, &settings.hashing);
            return None;
        };
        let encoded = EncodedPassword::parse(&user.password);
        if let Some(Unusable::Malformed | Unusable::TooCostly) = encoded.unusable() {
            let message = format!(
                "nobody can log in with the stored password of user {}",
                user.id
            );
            complaints.warn((), &message);
        }
        let verification = encoded.verify(&password, &settings.hashing);
        let is_admitted =
            authenticating(&settings.authentication_backends, user.is_active).is_some();
        (verification.correct && is_admitted).then_some(user)
    };
    let verified = state.hashing.run(PATIENCE, verify).await;
    verified.ok_or_else(|| busy(state, renderer))
}

fn busy(state: &State, renderer: Renderer) -> Error {
    let message = "more passwords come in than can be checked: some callers get 503";
    state.complaints.warn((), message);
    Error::rendered(Kind::Unavailable, renderer)
}
