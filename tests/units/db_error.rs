//! Which errors of the database are outages.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use watchtower_sidecar::db::error::DbError;

#[test]
fn a_disk_error_is_an_outage_and_a_refused_statement_is_not() {
    use DatabaseErrorKind::{ClosedConnection, SerializationFailure, Unknown};
    for (kind, message, is_outage) in [
        (Unknown, "database is locked", true),
        (Unknown, "unable to open database file", true),
        (Unknown, "disk I/O error", true),
        (Unknown, "locking protocol", true),
        (Unknown, "no such table: django_session", false),
        (Unknown, "database disk image is malformed", false),
        (Unknown, "keine Berechtigung für Tabelle auth_user", false),
        (ClosedConnection, "breche Verbindung ab", true),
        (SerializationFailure, "storniere Anfrage", true),
    ] {
        let error = DieselError::DatabaseError(kind, Box::new(message.to_owned()));
        let error = DbError::from(error);
        assert_eq!(
            matches!(error, DbError::Unavailable(_)),
            is_outage,
            "{message}"
        );
    }
}
