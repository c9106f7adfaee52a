//! Names and passwords: the one path for HTTP Basic and for login (`django.contrib.auth.authenticate` with
//! `ModelBackend`), so that unknown, inactive and unusable accounts cost what a wrong password costs.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::db::{DbError, User};
use crate::django::backends::authenticating;
use crate::django::hashers::{EncodedPassword, Unusable, verify_nobody};
use crate::server::State;

/// The user of this name and password whom a backend admits. The connection is back in the pool before hashing begins, and hashing
/// runs on the blocking pool, as many at a time as [`State`] permits.
///
/// # Errors
/// The database's.
pub async fn authenticate(
    state: &State,
    username: String,
    password: Zeroizing<String>,
) -> Result<Option<User>, DbError> {
    let user = state
        .db
        .run(move |connection, table| table.find_by_username(connection, &username))
        .await?;
    let interrupted = || DbError::Unavailable("hashing was cut short".into());
    let permit = Arc::clone(&state.hashing_permits)
        .acquire_owned()
        .await
        .map_err(|_| interrupted())?;
    let (settings, complaints) = (Arc::clone(&state.settings), Arc::clone(&state.complaints));
    actix_web::web::block(move || {
        // Held until the hash is done, even when the client has gone.
        let _permit = permit;
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
    })
    .await
    .map_err(|_| interrupted())
}
