//! `DATABASE_READ_URL`: whether it is reachable and holds the exported columns, and how far it lags behind.

use super::findings::*;
use super::{connecting, tables};
use crate::db::inspection::inspector::Inspector;

/// The lag in seconds from which a warning is worth it.
const LATE: f64 = 60.0;

/// The difference in users tolerated between the two counts.
const FEW: i64 = 100;

/// Checks the replica, if one is configured.
pub(super) fn check(primary: &mut Examined) -> Option<()> {
    let (config, findings) = (primary.config, primary.findings);
    let url = config.database_read_url.as_ref()?;
    let mut replica = connecting::connect("DATABASE_READ_URL", "replica", url, config, findings)?;
    let server = findings.answer("the replica's version", replica.inspector.server())?;
    connecting::about("replica", &server, findings);
    tables::users(&mut replica, false, "replica.users")?;
    if server.is_standby && url.backend() == config.database_url.backend() {
        lag(&mut primary.inspector, &mut replica.inspector, findings);
    }
    let counts = (
        primary.inspector.users(&config.user_table),
        replica.inspector.users(&config.user_table),
    );
    if let (Ok(here), Ok(there)) = counts
        && (here - there).abs() > FEW.max(here / 100)
    {
        findings.warning(
            "replica.data",
            &format!("the replica has {there} users, the primary {here}"),
            "see that DATABASE_READ_URL is a replica of DATABASE_URL, and that it follows",
        );
    }
    Some(())
}

fn lag(primary: &mut Inspector, replica: &mut Inspector, findings: &Findings) {
    const ID: &str = "replica.lag";
    // The primary first, so that what it writes in between is not counted as lag.
    let (Ok(Some(written)), Ok(Some(followed))) = (primary.position(), replica.position()) else {
        return;
    };
    if followed >= written {
        findings.ok(ID, "the standby has followed everything");
        return;
    }
    let mut text = format!("the standby is {} bytes behind", written - followed);
    let seconds = replica.age_of_replay().ok().flatten();
    if let Some(seconds) = seconds {
        text += &format!("; its latest transaction is {seconds:.0} seconds old");
    }
    match seconds.is_none_or(|seconds| seconds > LATE) {
        true => findings.warning(
            ID,
            &format!("{text}: exports and statistics are that old"),
            "see pg_stat_replication on the primary, and the standby's log",
        ),
        false => findings.ok(ID, &text),
    }
}
