//! `watchtower-sidecar healthcheck`: requests readyz from the configured listener, for images without curl. It needs no
//! secret.

use std::io::{Read, Write};
use std::time::Duration;

use crate::config::LocalClientConfig;
use crate::http_client::Client;
use crate::telemetry::say;

/// Longer than readyz itself waits for the database.
const TIMEOUT: Duration = Duration::from_secs(6);

/// How many bytes of the answer's body are printed.
const BODY_LIMIT: u64 = 200;

/// Prints one line, and gives the exit code: 0 ready, 1 not ready, 64 bad configuration.
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
        say("port 0 means any free port: give SIDECAR_BIND or SIDECAR_OPS_BIND a fixed one");
        return 64;
    };
    let server = bind.url();
    let failure = match readyz(&server) {
        Ok((200, body)) => {
            let _ = writeln!(std::io::stdout(), "ready: {server}: {body}");
            return 0;
        }
        Ok((status, body)) => format!("{server} answered {status}: {body}"),
        Err(error) => format!("{server}: {error}"),
    };
    say(format_args!("not ready: {failure}"));
    1
}

fn readyz(server: &str) -> std::io::Result<(u16, String)> {
    let client = Client::new(server, TIMEOUT, None);
    let answer = client.send("GET", "/readyz", &[("Host", "localhost")])?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    let reader = answer.into_body().into_reader();
    reader.take(BODY_LIMIT).read_to_end(&mut body)?;
    let body = String::from_utf8_lossy(&body).replace(['\r', '\n'], " ");
    Ok((status, body))
}
