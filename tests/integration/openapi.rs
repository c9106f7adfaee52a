//! The description in `openapi.json`, and whether answers are as it says: every answer that `client::send` reads is looked at.
//!
//! Left out are paths under another mount, methods that are not described (they are 405 or Django's own business), and
//! what was refused as no HTTP before anything of ours saw it: those answers have no X-Request-ID.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};
use watchtower_sidecar::routes::openapi::DESCRIPTION;

use crate::app::App;
use crate::client::Answer;
use crate::database::Database;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DESCRIPTION).unwrap());

/// By the schema's text.
static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> =
    LazyLock::new(Mutex::default);

/// What `$ref` leads to.
fn resolved(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(path) => DOCUMENT.pointer(path.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

fn operation(method: &str, target: &str) -> Option<&'static Value> {
    let path = target.split('?').next()?;
    DOCUMENT["paths"].get(path)?.get(method.to_lowercase())
}

/// Whether the answer has one of the formats that the operation names beside its typed answers: a page with any status, the
/// others with 200.
fn is_other_format(operation: &Value, media_type: &str, status: u16) -> bool {
    let formats = operation["x-other-formats"].as_object();
    let is_named = formats.is_some_and(|formats| formats.values().any(|other| other == media_type));
    is_named && (status == 200 || media_type == "text/html")
}

/// Fails if the answer is not described.
pub fn require(method: &str, target: &str, answer: &Answer) {
    let Some(operation) = operation(method, target) else {
        return;
    };
    if answer.header("x-request-id").is_none() {
        return;
    }
    let what = format!("{method} {target}: {} {}", answer.status, answer.head());
    let response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "not described: {what}");
    let response = resolved(response);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let is_there = answer.header(name).is_some();
        assert!(
            is_there || resolved(header)["required"] != true,
            "no {name}: {what}"
        );
    }
    let Some(content) = response.get("content") else {
        assert!(answer.body.is_empty(), "a body: {what}");
        return;
    };
    let media_type = answer.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap();
    if is_other_format(operation, media_type, answer.status) {
        return;
    }
    let schema = &content[media_type]["schema"];
    assert!(!schema.is_null(), "not of this type: {what}");
    if media_type == "application/json" {
        let body: Value = serde_json::from_slice(&answer.decompressed()).unwrap();
        let validator = validator(schema);
        let errors: Vec<_> = validator
            .iter_errors(&body)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:?}");
    }
}

fn validator(schema: &Value) -> &'static Validator {
    let mut validators = VALIDATORS.lock().unwrap();
    validators.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = DOCUMENT["components"].clone();
        Box::leak(Box::new(jsonschema::validator_for(&whole).unwrap()))
    })
}

#[test]
fn the_description_is_served_for_its_mount() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let served = app.get("/api/admin/openapi.json", &[]);
    assert_eq!((served.status, served.text()), (200, DESCRIPTION));
    let tag = served.header("etag").unwrap();
    assert_eq!(
        app.get("/api/admin/openapi.json", &[("If-None-Match", tag)])
            .status,
        304
    );
    for (mount, server) in [("/elsewhere", "/"), ("", ".")] {
        let app = App::with(&database, &[("SIDECAR_MOUNT", mount)]);
        let served = app.get(&format!("{mount}/openapi.json"), &[]).json();
        assert_eq!(served["servers"], json!([{"url": server}]));
        let paths = |document: &Value, from: &str, to: &str| -> BTreeSet<String> {
            let paths = document["paths"].as_object().unwrap().keys();
            paths.map(|path| path.replacen(from, to, 1)).collect()
        };
        let expected = paths(&DOCUMENT, "/api/admin/", &format!("{mount}/"));
        assert_eq!(paths(&served, "", ""), expected);
    }
    // A path with servers of its own misleads client generators: they send its requests to the host `api`.
    assert_eq!(DESCRIPTION.matches(r#""servers""#).count(), 1);
    assert_eq!(DOCUMENT["servers"], json!([{"url": "/"}]));
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    assert_eq!(DOCUMENT["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_is_not_described_is_found() {
    let database = Database::filled_sqlite();
    let app = App::over(&database);
    let mut answer = app.get("/healthz", &[]);
    require("GET", "/healthz", &answer);
    answer.body = br#"{"status":"perhaps"}"#.to_vec();
    assert!(std::panic::catch_unwind(|| require("GET", "/healthz", &answer)).is_err());
    answer.status = 418;
    assert!(std::panic::catch_unwind(|| require("GET", "/healthz", &answer)).is_err());
}
