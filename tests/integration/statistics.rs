//! Concurrent requests for the statistics share one query.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::app::{App, KEY, insert_session};
use crate::database::Database;

const CLIENTS: i64 = 16;
const REQUESTS_EACH: i64 = 100;

#[test]
fn no_answer_is_older_than_its_request() {
    for database in Database::of_every_kind() {
        let app = App::over(&database);
        let session = insert_session(&database, "admin", "1", KEY);
        let cookie = format!("sessionid={session}");
        let total = || {
            let answer = app.get("/api/admin/export-stats/", &[("Cookie", &cookie)]);
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["stats"]["total_active_users"]
                .as_i64()
                .unwrap()
        };
        let before = total();
        // How many insertions have been committed: an answer must have seen as many as there were when it was asked for.
        let committed = AtomicI64::new(0);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (database, committed, total) = (&database, &committed, &total);
                scope.spawn(move || {
                    let mut execute = database.connect();
                    for request in 0..REQUESTS_EACH {
                        let id = 1000 + client * REQUESTS_EACH + request;
                        execute(&format!(
                            "INSERT INTO auth_user (id, username, first_name, last_name, email, password, is_superuser, is_staff, is_active, is_tv_user, is_movie_user, date_joined) \
                             VALUES ({id}, 'user{id}', '', '', '', '!', false, false, true, true, false, '2021-01-01 00:00:00')"
                        ));
                        committed.fetch_add(1, Ordering::SeqCst);
                        let known = committed.load(Ordering::SeqCst);
                        let seen = total() - before;
                        assert!(seen >= known, "{}: {seen} of {known}", database.name());
                    }
                });
            }
        });
        assert_eq!(total() - before, CLIENTS * REQUESTS_EACH);
    }
}
