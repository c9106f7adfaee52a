//! Attempts to connect and what is suspected meanwhile, on the PostgreSQL server that `TEST_POSTGRES_URL` names.

use std::net::TcpListener;
use std::sync::PoisonError;

use super::*;
use crate::config::DatabaseUrl;
use crate::db::sockets::tests::ALONE;

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
    let under_way = UnderWay::new(url.ports());
    let opener = ConnectionOpener {
        url,
        writable: false,
        prepares: true,
    };
    let source = Source::new("database", opener, 1, &under_way);
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
