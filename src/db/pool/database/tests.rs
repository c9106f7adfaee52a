//! Attempts to connect while the database is suspected to hang, on the PostgreSQL server of `TEST_POSTGRES_URL`; and the
//! locks on an SQLite file.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::PoisonError;

use diesel::Connection as _;
use diesel::connection::SimpleConnection;

use super::*;
use crate::config::DatabaseUrl;
use crate::db::pool::attempts::tests::ALONE;

fn database(url: DatabaseUrl) -> Database {
    let under_way = UnderWay::new(url.ports());
    let settings = SessionSettings {
        prepares: true,
        time_zone: "UTC".to_owned(),
    };
    let opener = ConnectionOpener {
        url,
        writable: false,
        settings,
    };
    Database::new(Role::Primary, opener, 1, &under_way, Workers::new(1))
}

#[test]
fn looking_for_an_sqlite_file_releases_no_lock_on_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let inode = format!(":{} ", file.as_file().metadata().unwrap().ino());
    let is_locked = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks
            .lines()
            .any(|lock| lock.contains("POSIX") && lock.contains(&inode))
    };
    let database = database(DatabaseUrl::parse(&format!("sqlite:///{path}")).unwrap());
    database.health.latest_failed.store(true, Ordering::Release);
    let mut writer = diesel::SqliteConnection::establish(path).unwrap();
    writer.batch_execute("BEGIN EXCLUSIVE").unwrap();
    assert!(is_locked());
    assert!(!database.is_down());
    assert!(is_locked());
}

#[test]
fn a_connection_that_answers_after_the_suspicion_is_trusted_even_if_its_attempt_began_before() {
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        println!("skipped on PostgreSQL: TEST_POSTGRES_URL is not set");
        return;
    };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first of two hosts hangs until the test closes it.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hanging.local_addr().unwrap();
    let url = DatabaseUrl::parse(&url.replace('@', &format!("@{address},"))).unwrap();
    let database = database(url);
    std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            database
                .pool
                .get_timeout(Duration::from_secs(30))
                .unwrap()
                .generation
        });
        let attempt = hanging.accept().unwrap();
        database.suspect();
        // The attempt goes on to the second host.
        drop((attempt, hanging));
        assert_eq!(job.join().unwrap(), 1);
    });
    assert!(!database.is_down());
}
