//! `DATABASE_READ_URL`: reachable, holding what is exported, and how far behind.

use super::{Findings, connecting, tables};
use crate::config::Config;
use crate::db::inspection::inspector::Inspector;

/// Behind by more seconds than an export's reader would expect.
const LATE: f64 = 60.0;

/// Users who may come and go between two counts.
const FEW: i64 = 100;

/// Checks it, if there is one.
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
            "replica.data",
            format!("the replica has {there} users, the primary {here}"),
            "see that DATABASE_READ_URL is a replica of DATABASE_URL, and that it follows",
        );
    }
}

fn lag(primary: &mut Inspector, replica: &mut Inspector, findings: &Findings) {
    const ID: &str = "replica.lag";
    // The primary first: what it writes afterwards does not count.
    let (Ok(Some(written)), Ok(Some(followed))) = (primary.position(), replica.position()) else {
        return;
    };
    if followed >= written {
        findings.ok(ID, "the standby has followed everything");
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
            ID,
            format!("{text}: exports and statistics are that old"),
            "see pg_stat_replication on the primary, and the standby's log",
        ),
        false => findings.ok(ID, text),
    }
}
