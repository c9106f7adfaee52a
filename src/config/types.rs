//! The types of single variables, and the error that lists every mistake.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A TCP address; port 0 takes any free port.
    Tcp(SocketAddr),
    /// A unix socket at this path.
    Unix(PathBuf),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per record.
    Text,
    /// One JSON object per record.
    Json,
}

/// `SIDECAR_LOGIN`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginMode {
    /// No login
    Off,
    /// Login, where the project asks for no second factor
    On,
    /// Login by the password alone, whatever else the project asks for
    WithoutSecondFactor,
}

/// A limit on events in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of events
    pub most: u32,
    /// The span of time
    pub per: Duration,
}

/// `SIDECAR_LOG`, `SIDECAR_LOG_FORMAT`, `SIDECAR_LOG_FILE`.
#[derive(Debug, Clone)]
pub struct Logging {
    /// An env_logger filter.
    pub filter: String,
    /// The shape of a line.
    pub format: LogFormat,
    /// A file that gets every line too, as well as standard error.
    pub file: Option<PathBuf>,
}

/// Every mistake found in the environment, a sentence each: variable, what is wrong, an example.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        writeln!(f, "{count} {noun} in the configuration:")?;
        self.0
            .iter()
            .try_for_each(|error| writeln!(f, "  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}
