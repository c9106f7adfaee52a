//! Audit lines: exports and pages with the caller who received them, logins and logouts, and refused passwords.
//! They are written at every level of `SIDECAR_LOG` (unless it names `audit`), and hold ids, never what a client sent.

use super::trace::Trace;
use super::truncated;

/// The target of audit lines, and their logger's name.
const TARGET: &str = "audit";

impl Trace {
    /// An export is about to be sent to this administrator. `is_known`: the client has it already and gets 304.
    pub fn audit_export(&self, username: &str, users: u64, digest: &str, is_known: bool) {
        let rows = if is_known { 0 } else { users };
        self.exported_rows.set(Some(rows));
        log::info!(target: TARGET,
            request_id = self.id, address = self.address.as_deref(), user = self.user().as_deref(),
            username = truncated(username), users, digest, is_known;
            "export of users");
    }

    /// A page that shows this number of users is about to be sent to this administrator. The line says whether it was a search.
    pub fn audit_page(&self, username: &str, users: usize, is_search: bool) {
        log::info!(target: TARGET,
            request_id = self.id, address = self.address.as_deref(), user = self.user().as_deref(),
            username = truncated(username), users, is_search;
            "page of users");
    }

    /// The user of this request has a new session (`login`), or none anymore (`logout`).
    pub fn audit_session(&self, event: &str) {
        log::info!(target: TARGET,
            request_id = self.id, address = self.address.as_deref(), user = self.user().as_deref(),
            route = self.route_label();
            "{event}");
    }

    /// A name and a password were refused. `user`: the id of the user who has the name, if there is one.
    pub fn audit_refused_password(&self, user: Option<&impl ToString>, reason: &str) {
        let user = user.map(ToString::to_string);
        log::info!(target: TARGET,
            request_id = self.id, address = self.address.as_deref(), user = user.as_deref(),
            route = self.route_label(), reason;
            "refused password");
    }
}
