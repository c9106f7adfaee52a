//! Whether a password is that of one of the users whom a name may mean, and whether a backend admits that user
//! (`django.contrib.auth.authenticate` with `ModelBackend` and allauth's backend, Django 5.2).

use std::time::{Duration, Instant};

use crate::db::models::named_users::NamedUsers;
use crate::db::models::users::User;
use crate::django::backends::{PasswordBackend, admits_inactive};
use crate::django::hashers::{EncodedPassword, Unusable, Verification, Work, verify};
use crate::django::sessions::UserId;
use crate::django::settings::Settings;

/// A user whose password was right, and the backend that admits the user.
pub struct Admitted {
    /// The user
    pub user: User,
    /// The backend's dotted path, for the session
    pub backend: String,
}

/// The result of checking a name and a password.
pub struct PasswordCheck {
    /// The user, where the password is right and a backend admits the user
    pub admitted: Option<Admitted>,
    /// The id of a user who has this name, admitted or not
    pub id: Option<UserId>,
    /// The step that decided it
    pub outcome: PasswordOutcome,
    /// What was computed, and how long each hash took
    pub hashes: Vec<(Work, Duration)>,
}

/// The step at which a name and a password are refused, in the order of the steps; the last is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordOutcome {
    /// No user has this name
    NoSuchUser,
    /// No password matches what is stored
    Unusable(Unusable),
    /// The password is wrong
    WrongPassword,
    /// The password is right, but no backend that checks passwords admits this user, who may be inactive
    NotAdmitted,
    /// The password is right
    Good,
}

impl PasswordOutcome {
    /// Its name in the log.
    pub fn label(self) -> &'static str {
        match self {
            PasswordOutcome::NoSuchUser => "no_such_user",
            PasswordOutcome::Unusable(_) => "unusable_password",
            PasswordOutcome::WrongPassword => "wrong_password",
            PasswordOutcome::NotAdmitted => "not_admitted",
            PasswordOutcome::Good => "good",
        }
    }
}

/// Asks each backend in order, and there each user whom it finds by the name: the first whose password is right and whom the
/// backend admits. A user's password is hashed once. Without a user, one hash is computed as well, as Django does. Blocking:
/// it takes as long as the hashes.
pub fn check_password(settings: &Settings, mut named: NamedUsers, password: &str) -> PasswordCheck {
    let mut hashing = Hashing::new(&named, password, settings.pbkdf2_iterations);
    let mut refused = None;
    let mut admitted = None;
    for (backend, index) in attempts(&settings.password_backends, &named, password) {
        let user = &named.users[index];
        let outcome = match hashing.outcome(index, user) {
            PasswordOutcome::Good if !user.is_active && !admits_inactive(&backend.backend) => {
                PasswordOutcome::NotAdmitted
            }
            outcome => outcome,
        };
        if outcome == PasswordOutcome::Good {
            admitted = Some((index, backend.backend.clone()));
            break;
        }
        // Of several refusals, the one that came furthest is told.
        if refused.is_none() || outcome == PasswordOutcome::NotAdmitted {
            refused = Some((user.id, outcome));
        }
    }
    let hashes = hashing.finish();
    if let Some((index, backend)) = admitted {
        let user = named.users.swap_remove(index);
        return PasswordCheck {
            id: Some(user.id),
            admitted: Some(Admitted { user, backend }),
            outcome: PasswordOutcome::Good,
            hashes,
        };
    }
    PasswordCheck {
        admitted: None,
        id: refused.map(|(id, _)| id),
        outcome: refused.map_or(PasswordOutcome::NoSuchUser, |(_, outcome)| outcome),
        hashes,
    }
}

/// Each backend with each user whom it would try.
fn attempts<'a>(
    backends: &'a [PasswordBackend],
    named: &NamedUsers,
    password: &str,
) -> Vec<(&'a PasswordBackend, usize)> {
    let mut attempts = Vec::new();
    for backend in backends {
        for lookup in &backend.names {
            // allauth's backend takes no empty password, whatever is stored.
            if !(lookup.is_of_allauth() && password.is_empty()) {
                attempts.extend(named.by(*lookup).map(|index| (backend, index)));
            }
        }
    }
    attempts
}

/// The hashes of one check: at most one for each user.
struct Hashing<'a> {
    password: &'a str,
    default_iterations: u32,
    /// By the users' indices
    outcomes: Vec<Option<PasswordOutcome>>,
    hashes: Vec<(Work, Duration)>,
}

impl<'a> Hashing<'a> {
    fn new(named: &NamedUsers, password: &'a str, default_iterations: u32) -> Hashing<'a> {
        Hashing {
            password,
            default_iterations,
            outcomes: vec![None; named.users.len()],
            hashes: Vec::new(),
        }
    }

    /// Whether the password is right, for a user whom any backend would admit.
    fn outcome(&mut self, index: usize, user: &User) -> PasswordOutcome {
        if let Some(known) = self.outcomes[index] {
            return known;
        }
        let encoded = EncodedPassword::parse(&user.password);
        let correct = self.hash(&encoded);
        let outcome = match encoded {
            Err(unusable) => PasswordOutcome::Unusable(unusable),
            Ok(_) if !correct => PasswordOutcome::WrongPassword,
            Ok(_) => PasswordOutcome::Good,
        };
        self.outcomes[index] = Some(outcome);
        outcome
    }

    fn hash(&mut self, encoded: &Result<EncodedPassword, Unusable>) -> bool {
        let began = Instant::now();
        let Verification { correct, work } =
            verify(encoded, self.password, self.default_iterations);
        self.hashes.push((work, began.elapsed()));
        correct
    }

    /// What was computed: at least one hash.
    fn finish(mut self) -> Vec<(Work, Duration)> {
        if self.hashes.is_empty() {
            // A user who does not exist has no password.
            self.hash(&Err(Unusable::NoPassword));
        }
        self.hashes
    }
}
