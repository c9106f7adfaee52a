//! `DjangoSessionStore`: one acceptance suite for every database, and actix-session's own middleware over it.

use std::collections::HashMap;
use std::sync::Arc;

use actix_session::storage::{SessionKey, SessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::{App, HttpResponse, test, web};
use watchtower_sidecar::config::Config;
use watchtower_sidecar::db::Db;
use watchtower_sidecar::db::types::stored_time::Clock;
use watchtower_sidecar::session_store::DjangoSessionStore;
use watchtower_sidecar::telemetry::metrics::Metrics;

use crate::app::{KEY, OLD_KEY, insert_session};
use crate::database::Database;

fn store(database: &Database) -> DjangoSessionStore {
    // What the service itself never does, and the operator's file does not grant.
    if database.name() != "sqlite" {
        let role = database.role();
        database.execute(&format!(
            "GRANT UPDATE (session_data, expire_date) ON django_session TO {role}"
        ));
    }
    let fallbacks = format!(r#"["{OLD_KEY}"]"#);
    let config = Config::from_vars(|name| match name {
        "DATABASE_URL" => Some(database.url.clone()),
        "DJANGO_SECRET_KEY" => Some(KEY.to_owned()),
        "SIDECAR_LOGIN" => Some("on".to_owned()),
        "DJANGO_SECRET_KEY_FALLBACKS" => Some(fallbacks.clone()),
        _ => None,
    })
    .unwrap_or_else(|errors| panic!("{errors}"));
    let db = Db::new(&config, Metrics::new().unwrap().waits());
    DjangoSessionStore::new(
        db,
        Arc::new(config.django),
        Clock::new(true, &jiff::tz::TimeZone::UTC),
    )
}

fn state(members: &[(&str, &str)]) -> HashMap<String, String> {
    members
        .iter()
        .map(|(name, json)| ((*name).to_owned(), (*json).to_owned()))
        .collect()
}

fn key(text: &str) -> SessionKey {
    text.to_owned().try_into().unwrap()
}

const DAY: Duration = Duration::DAY;

#[actix_web::test]
async fn a_saved_session_loads_again_until_it_is_deleted() {
    for database in Database::of_every_kind() {
        let store = store(&database);
        let saved = state(&[("cart", r#"{"items": [1, 2.5, "é☃"]}"#), ("seen", "true")]);
        let session_key = store.save(saved, &DAY).await.unwrap();
        assert_eq!(session_key.as_ref().len(), 32);
        let loaded = store.load(&session_key).await.unwrap();
        let expected = state(&[
            ("cart", r#"{"items": [1, 2.5, "\u00e9\u2603"]}"#),
            ("seen", "true"),
        ]);
        assert_eq!(loaded, Some(expected), "{}", database.name());
        store.delete(&session_key).await.unwrap();
        assert_eq!(
            store.load(&session_key).await.unwrap(),
            None,
            "{}",
            database.name()
        );
        store.delete(&session_key).await.unwrap();
    }
}

#[actix_web::test]
async fn an_update_keeps_the_key_and_an_update_of_a_vanished_session_makes_a_new_one() {
    for database in Database::of_every_kind() {
        let store = store(&database);
        let session_key = store.save(state(&[("n", "1")]), &DAY).await.unwrap();
        let text = session_key.as_ref().to_owned();
        let updated = store
            .update(session_key, state(&[("n", "2")]), &DAY)
            .await
            .unwrap();
        assert_eq!(updated.as_ref(), text);
        assert_eq!(
            store.load(&updated).await.unwrap(),
            Some(state(&[("n", "2")])),
            "{}",
            database.name()
        );
        store.delete(&updated).await.unwrap();
        let renewed = store
            .update(updated, state(&[("n", "3")]), &DAY)
            .await
            .unwrap();
        assert_ne!(renewed.as_ref(), text);
        assert_eq!(
            store.load(&renewed).await.unwrap(),
            Some(state(&[("n", "3")])),
            "{}",
            database.name()
        );
        assert_eq!(database.count("django_session"), 1);
    }
}

#[actix_web::test]
async fn a_session_lives_as_long_as_its_ttl_says() {
    for database in Database::of_every_kind() {
        let store = store(&database);
        let session_key = store
            .save(state(&[("n", "1")]), &Duration::seconds(-1))
            .await
            .unwrap();
        assert_eq!(
            store.load(&session_key).await.unwrap(),
            None,
            "{}",
            database.name()
        );
        store.update_ttl(&session_key, &DAY).await.unwrap();
        assert!(
            store.load(&session_key).await.unwrap().is_some(),
            "{}",
            database.name()
        );
    }
}

#[actix_web::test]
async fn djangos_own_rows_load_under_the_key_and_its_fallbacks() {
    for database in Database::of_every_kind() {
        let store = store(&database);
        for (name, secret) in [("current", KEY), ("fallback", OLD_KEY)] {
            let session_key = insert_session(&database, name, "1", secret);
            let loaded = store.load(&key(&session_key)).await.unwrap().unwrap();
            assert_eq!(loaded["_auth_user_id"], r#""1""#, "{}", database.name());
        }
        // As in Django: data that no key has signed is an empty session.
        let session_key =
            insert_session(&database, "foreign", "1", "a key that was never configured");
        assert_eq!(
            store.load(&key(&session_key)).await.unwrap(),
            Some(HashMap::new())
        );
        assert_eq!(store.load(&key("no such session")).await.unwrap(), None);
    }
}

#[actix_web::test]
async fn the_stock_session_middleware_of_actix_session_works_over_it() {
    async fn count(session: Session) -> HttpResponse {
        let visits = session.get::<u32>("visits").unwrap().unwrap_or_default() + 1;
        session.insert("visits", visits).unwrap();
        HttpResponse::Ok().body(visits.to_string())
    }
    for database in Database::of_every_kind() {
        let middleware = SessionMiddleware::new(store(&database), Key::generate());
        let app =
            test::init_service(App::new().wrap(middleware).route("/", web::get().to(count))).await;
        let first = test::call_service(&app, test::TestRequest::get().uri("/").to_request()).await;
        let cookie = first.response().cookies().next().unwrap().into_owned();
        let again = test::TestRequest::get()
            .uri("/")
            .cookie(cookie)
            .to_request();
        assert_eq!(
            test::call_and_read_body(&app, again).await,
            "2",
            "{}",
            database.name()
        );
        assert_eq!(database.count("django_session"), 1);
    }
}
