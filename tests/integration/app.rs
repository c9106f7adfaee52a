//! The service under test: the real application, on a free port, in its own thread.

use std::collections::HashMap;
use std::sync::mpsc;

use watchtower_sidecar::config::Config;
use watchtower_sidecar::django::sessions::{
    AUTH_HASH_NAME, BACKEND_NAME, SessionData, USER_ID_NAME, session_auth_hash,
};
use watchtower_sidecar::django::signing::{SecretKey, SecretKeys};
use watchtower_sidecar::server::Application;

use crate::client::{Answer, send};
use crate::database::{Database, ENCODED};

pub const KEY: &str = "a-secret-key-of-the-integration-tests";
pub const OLD_KEY: &str = "an-older-secret-key-of-the-same-tests";

/// A running service.
pub struct App {
    pub address: String,
}

impl App {
    /// A service over `database`, with login.
    pub fn over(database: &Database) -> App {
        App::with(database, &[])
    }

    /// A service over `database` with these variables on top.
    pub fn with(database: &Database, variables: &[(&str, &str)]) -> App {
        let fallbacks = format!(r#"["{OLD_KEY}"]"#);
        let url = match variables.contains(&("SIDECAR_LOGIN", "off")) {
            true => &database.reading_url,
            false => &database.url,
        };
        let mut vars: HashMap<String, String> = [
            ("DATABASE_URL", url.as_str()),
            ("DJANGO_SECRET_KEY", KEY),
            ("DJANGO_SECRET_KEY_FALLBACKS", fallbacks.as_str()),
            ("DJANGO_ALLOWED_HOSTS", r#"["*"]"#),
            ("DJANGO_PBKDF2_ITERATIONS", "1"),
            ("SIDECAR_BIND", "127.0.0.1:0"),
            ("SIDECAR_LOGIN", "on"),
            ("SIDECAR_LOGIN_RATE", "off"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        vars.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let config = Config::from_vars(|name| vars.get(name).cloned())
            .unwrap_or_else(|errors| panic!("{errors}"));

        let (started, port) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let application = Application::build(config).unwrap();
                started.send(application.port().unwrap()).unwrap();
                application.run_until_stopped(None).await.unwrap();
            });
        });
        App {
            address: format!("127.0.0.1:{}", port.recv().unwrap()),
        }
    }

    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        send(&self.address, method, target, headers, body)
    }

    pub fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", target, headers, "")
    }

    /// `GET export-users/` with a session cookie.
    pub fn export_as(&self, session_key: &str) -> Answer {
        self.get(
            "/api/admin/export-users/",
            &[("Cookie", &format!("sessionid={session_key}"))],
        )
    }

    /// Logs in, with an old session's cookie if there is one.
    pub fn login(&self, username: &str, password: &str, cookie: Option<&str>) -> Answer {
        let body = serde_json::json!({"username": username, "password": password}).to_string();
        let cookie = cookie.map(|key| format!("sessionid={key}"));
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(cookie.as_deref().map(|cookie| ("Cookie", cookie)));
        self.send("POST", "/api/login/", &headers, &body)
    }
}

/// Writes a session of this user, signed with `key`, good for a day, and gives its session key.
pub fn insert_session(database: &Database, name: &str, user_id: &str, key: &str) -> String {
    let keys = SecretKeys {
        current: SecretKey::new(key.to_owned()),
        fallbacks: Vec::new(),
    };
    let mut data = SessionData::default();
    data.set_str(USER_ID_NAME, user_id);
    data.set_str(BACKEND_NAME, "django.contrib.auth.backends.ModelBackend");
    data.set_str(AUTH_HASH_NAME, &session_auth_hash(ENCODED, &keys.current));
    let data = data.encode(&keys, 1_700_000_000);
    let session_key = format!("session-of-the-test-{name}");
    database.execute(&format!(
        "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ('{session_key}', '{data}', '2999-01-01 00:00:00')"
    ));
    session_key
}
