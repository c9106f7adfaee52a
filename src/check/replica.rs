//! `DATABASE_READ_URL`: whether it is reachable and holds the exported columns, and how far it lags behind.

use super::findings::*;
use super::{connecting, tables};
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;

/// The lag in seconds from which a warning is worth it.
const LATE: f64 = 60.0;

/// The difference in users tolerated between the two counts.
const FEW: i64 = 100;

/// Checks the replica, if one is configured.
pub(super) fn check(config: &Config, primary: &mut Inspector, findings: &Findings) {
    let Some(url) = &config.database_read_url else {
        return;
    };
    let replica = connecting::connect("DATABASE_READ_URL", url, config, findings);
    let Some(mut replica) = replica else {
        return;
    };
    let Some(server) = findings.answer("the replica's version", replica.server()) else {
        return;
    };
    connecting::about("replica", &server, findings);
    if tables::users(config, &mut replica, false, "replica.users", findings).is_none() {
        return;
    }
    if server.is_standby && url.backend() == config.database_url.backend() {
        lag(primary, &mut replica, findings);
    }
    let counts = (
        primary.users(&config.user_table),
        replica.users(&config.user_table),
    );
    if let (Ok(here), Ok(there)) = counts
        && (here - there).abs() > FEW.max(here / 100)
    {
        findings.warning(
            &REPLICA_DATA,
            format!("the replica has {there} users, the primary {here}"),
        );
    }
}

fn lag(primary: &mut Inspector, replica: &mut Inspector, findings: &Findings) {
    // The primary first, so that what it writes in between is not counted as lag.
    let (Ok(Some(written)), Ok(Some(followed))) = (primary.position(), replica.position()) else {
        return;
    };
    if followed >= written {
        findings.ok(&REPLICA_LAG, "the standby has followed everything");
        return;
    }
    let bytes = written - followed;
    let seconds = replica.age_of_replay().ok().flatten();
    let text = match seconds {
        Some(seconds) => format!(
            "the standby is {bytes} bytes behind; its latest transaction is {seconds:.0} seconds old"
        ),
        None => format!("the standby is {bytes} bytes behind"),
    };
    match seconds.is_none_or(|seconds| seconds > LATE) {
        true => findings.warning(
            &REPLICA_LAG,
            format!("{text}: exports and statistics are that old"),
        ),
        false => findings.ok(&REPLICA_LAG, text),
    }
}
