//! Attempts to connect and what is suspected meanwhile, on the PostgreSQL server that `TEST_POSTGRES_URL` names; and the locks on
//! SQLite's file.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::PoisonError;

use diesel::Connection as _;
use diesel::connection::SimpleConnection;

use super::*;
use crate::config::DatabaseUrl;
use crate::db::connection::SessionSettings;
use crate::db::sockets::tests::ALONE;

fn source(url: DatabaseUrl) -> Source {
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
    Source::new("database", opener, 1, &under_way)
}

#[test]
fn asking_whether_sqlites_file_is_there_ends_no_lock_on_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let inode = format!(":{} ", file.as_file().metadata().unwrap().ino());
    let is_locked = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks
            .lines()
            .any(|lock| lock.contains("POSIX") && lock.contains(&inode))
    };
    let source = source(DatabaseUrl::parse(&format!("sqlite:///{path}")).unwrap());
    source.contact.latest_failed.store(true, Ordering::Release);
    let mut writer = diesel::SqliteConnection::establish(path).unwrap();
    writer.batch_execute("BEGIN EXCLUSIVE").unwrap();
    assert!(is_locked());
    assert!(!source.is_down());
    assert!(is_locked());
}

#[test]
fn a_connection_answered_after_the_suspicion_is_trusted_whenever_its_attempt_began() {
    let Ok(url) = std::env::var("TEST_POSTGRES_URL") else {
        println!("skipped on PostgreSQL: TEST_POSTGRES_URL is not set");
        return;
    };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first of two hosts hangs until the test lets go of it.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hanging.local_addr().unwrap();
    let url = DatabaseUrl::parse(&url.replace('@', &format!("@{address},"))).unwrap();
    let source = source(url);
    std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            source
                .pool
                .get_timeout(Duration::from_secs(30))
                .unwrap()
                .generation
        });
        let attempt = hanging.accept().unwrap();
        source.suspect();
        // It goes on to the second host; nothing listens here for another.
        drop((attempt, hanging));
        assert_eq!(job.join().unwrap(), 1);
    });
    assert!(!source.is_down());
}
