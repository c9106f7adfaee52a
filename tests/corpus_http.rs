//! Compares the HTTP modules of `django/` with a real Django, DRF and Python over the random inputs that
//! `tests/differential/corpus_http.py` records. Skipped unless `DJANGO_CORPUS_HTTP` names such a file.

// A panic is how a test fails; the corpus is of our own making.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::BufRead as _;
use watchtower_sidecar::django::authentication::{Basic, parse_basic};
use watchtower_sidecar::django::cookies::{SessionCookie, cookie};
use watchtower_sidecar::django::csrf::{CsrfRequest, check};
use watchtower_sidecar::django::dates::parse::parse_datetime;
use watchtower_sidecar::django::dates::{DateTime, http_date};
use watchtower_sidecar::django::negotiation::{Format, NotNegotiated, negotiate};
use watchtower_sidecar::django::renderers::{Indenter, write_json_string};
use watchtower_sidecar::django::request::{
    Query, append_slash_location, host_is_allowed, path_info,
};

#[test]
fn every_recorded_input_gives_what_django_gave() {
    let Some(path) = std::env::var_os("DJANGO_CORPUS_HTTP") else {
        eprintln!("skipped: DJANGO_CORPUS_HTTP is not set");
        return;
    };
    let corpus = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let kind = case["kind"].as_str().unwrap();
        let ours = answer(kind, &case["input"]);
        let (total, wrong) = counts.entry(kind.to_owned()).or_default();
        *total += 1;
        if ours != case["verdict"] {
            *wrong += 1;
            if *wrong <= 10 {
                eprintln!(
                    "{kind}: {}\n  Django: {}\n  ours:   {ours}",
                    readable(&case["input"]),
                    case["verdict"]
                );
            }
        }
    }
    for (kind, (total, wrong)) in &counts {
        println!("{kind}: {total} inputs, {wrong} differ");
    }
    assert!(!counts.is_empty(), "the corpus is empty");
    assert!(
        counts.values().all(|(_, wrong)| *wrong == 0),
        "some inputs differ"
    );
}

fn answer(kind: &str, input: &Value) -> Value {
    match kind {
        "basic" => basic(input),
        "cookie" => json!(cookie(&bytes(&input["header"]), text(&input["name"]))),
        "set_cookie" => set_and_delete(input),
        "json_string" => {
            let mut out = Vec::new();
            write_json_string(&mut out, text(input));
            json!(STANDARD.encode(out))
        }
        "indented" => indented(input),
        "parse_date" => match parse_datetime(text(input)) {
            Ok(None) => Value::Null,
            Ok(Some(datetime)) => json!([isoformat(&datetime), datetime.to_string()]),
            Err(error) => json!({ "error": error }),
        },
        "isoformat" => {
            let micros = input["micros"].as_i64().unwrap();
            let offset_seconds = input["offset"]
                .as_i64()
                .map(|offset| i32::try_from(offset).unwrap());
            let datetime = DateTime {
                offset_seconds,
                ..DateTime::from_unix_microseconds(micros).unwrap()
            };
            json!([
                isoformat(&datetime),
                datetime.to_string(),
                http_date(micros.div_euclid(1_000_000))
            ])
        }
        "accept" => match negotiate(
            optional_bytes(&input["accept"]).as_deref(),
            input["format"].as_str(),
        ) {
            Ok(renderer) => json!({
                "format": match renderer.format { Format::Json => "json", Format::Html => "html" },
                "indent": renderer.indent,
            }),
            Err(NotNegotiated::NotFound) => json!("404"),
            Err(NotNegotiated::NotAcceptable) => json!("406"),
        },
        "host" => {
            let debug = input["debug"].as_bool().unwrap();
            json!(host_is_allowed(
                Some(&bytes(&input["host"])),
                "",
                &strings(&input["allowed"]),
                debug
            ))
        }
        "query" => query(text(input)),
        "path" => {
            let path = path_info(text(&input["path"]));
            let query = Some(text(&input["query"]));
            let location =
                (!path.ends_with('/')).then(|| append_slash_location(&format!("{path}/"), query));
            json!([path, location])
        }
        "csrf" => csrf(input),
        other => panic!("no such kind: {other}"),
    }
}

fn basic(input: &Value) -> Value {
    match parse_basic(&bytes(input)) {
        Basic::NotBasic => json!("not basic"),
        Basic::Malformed(detail) => json!({ "malformed": detail }),
        Basic::Credentials { username, password } => {
            json!({ "username": username, "password": *password })
        }
    }
}

fn set_and_delete(input: &Value) -> Value {
    let cookie = SessionCookie {
        name: text(&input["name"]).to_owned(),
        age_seconds: 0,
        path: text(&input["path"]).to_owned(),
        domain: input["domain"].as_str().map(str::to_owned),
        secure: input["secure"].as_bool().unwrap(),
        http_only: input["httponly"].as_bool().unwrap(),
        same_site: input["samesite"].as_str().map(str::to_owned),
    };
    let (max_age, now) = (
        input["max_age"].as_i64().unwrap(),
        input["now"].as_i64().unwrap(),
    );
    json!([
        cookie.set(text(&input["value"]), Some(max_age), now),
        cookie.delete()
    ])
}

fn indented(input: &Value) -> Value {
    let compact = bytes(&input["compact"]);
    let spaces = u8::try_from(input["spaces"].as_u64().unwrap()).unwrap();
    let mut indenter = Indenter::new(spaces);
    let mut in_pieces = Vec::new();
    compact
        .chunks(3)
        .for_each(|piece| indenter.push(piece, &mut in_pieces));
    let mut whole = Vec::new();
    Indenter::new(spaces).push(&compact, &mut whole);
    assert_eq!(in_pieces, whole);
    json!(STANDARD.encode(in_pieces))
}

/// The last value of each name, in the order of the names' first appearance.
fn query(raw: &str) -> Value {
    let Some(query) = Query::parse(raw) else {
        return json!("too many");
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in query.iter() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|name| json!([name, query.last(name)]))
        .collect()
}

fn csrf(input: &Value) -> Value {
    let [origin, referer, header] =
        ["origin", "referer", "header"].map(|name| optional_bytes(&input[name]));
    let request = CsrfRequest {
        method: text(&input["method"]),
        is_secure: input["secure"].as_bool().unwrap(),
        host: text(&input["host"]),
        origin: origin.as_deref(),
        referer: referer.as_deref(),
        csrf_cookie: input["cookie"].as_str(),
        csrf_header: header.as_deref(),
    };
    json!(check(&request).err())
}

fn isoformat(datetime: &DateTime) -> String {
    let mut out = Vec::new();
    datetime.isoformat(&mut out);
    String::from_utf8(out).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(text(value)).unwrap()
}

fn optional_bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| STANDARD.decode(text).unwrap())
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|item| text(item).to_owned())
        .collect()
}

/// The input with its base64 read as text, for a message.
fn readable(input: &Value) -> String {
    let show = |value: &Value| match value.as_str().and_then(|text| STANDARD.decode(text).ok()) {
        Some(bytes) => format!("b\"{}\"", bytes.escape_ascii()),
        None => value.to_string(),
    };
    match input {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name}={} ", show(value)))
            .collect(),
        value => show(value),
    }
}
