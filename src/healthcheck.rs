//! `watchtower-sidecar healthcheck`: asks the configured listener's readyz, for images without curl. It needs no
//! secret.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::config::LocalClientConfig;
use crate::http_client::{Place, Request, ask};

/// Longer than readyz itself waits for the database.
const PATIENCE: Duration = Duration::from_secs(6);

/// The most bytes of an answer that are shown.
const SHOWN: usize = 200;

/// Asks, says it in one line, and gives the exit code: 0 ready, 1 not, 64 bad configuration.
pub fn run(lookup: impl Fn(&str) -> Option<String>) -> i32 {
    let config = match LocalClientConfig::from_vars(lookup) {
        Ok(config) => config,
        Err(errors) => {
            say(errors.to_string().trim_end());
            return 64;
        }
    };
    let bind = config.ops_bind.as_ref().unwrap_or(&config.bind);
    let Some(bind) = bind.from_here() else {
        say("the port is 0, so that nobody knows it: give SIDECAR_BIND or SIDECAR_OPS_BIND a port");
        return 64;
    };
    let place = Place::of(&bind);
    match readyz(&place) {
        Ok((200, body)) => {
            let _ = writeln!(std::io::stdout(), "ready: {place}: {body}");
            0
        }
        Ok((status, body)) => {
            say(format_args!("not ready: {place} answered {status}: {body}"));
            1
        }
        Err(error) => {
            say(format_args!("not ready: {place}: {error}"));
            1
        }
    }
}

fn readyz(place: &Place) -> std::io::Result<(u16, String)> {
    let request = Request {
        method: "GET",
        target: "/readyz".to_owned(),
        headers: vec![("Host".to_owned(), "localhost".to_owned())],
    };
    let mut answer = ask(place, &request, Instant::now() + PATIENCE, None)?;
    let mut body = [0; SHOWN];
    let mut length = 0;
    while length < SHOWN {
        match answer.read(&mut body[length..])? {
            0 => break,
            more => length += more,
        }
    }
    let body = String::from_utf8_lossy(&body[..length]).into_owned();
    Ok((answer.status, body.replace(['\r', '\n'], " ")))
}

fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
