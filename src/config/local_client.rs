//! The part of the configuration that a client on the same machine needs: `verify` and `healthcheck`. It holds no secret.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::types::{Bind, ConfigErrors};
use super::values::{bind, cookie_name, mount};
use super::variables::Variables;

/// The addresses of the running service, and the settings that its answers depend on.
pub struct LocalClientConfig {
    /// The main listener
    pub bind: Bind,
    /// The listener of the health checks, if it is another one
    pub ops_bind: Option<Bind>,
    /// The path the endpoints live under
    pub mount: String,
    /// `SESSION_COOKIE_NAME`
    pub cookie_name: String,
}

impl LocalClientConfig {
    /// Reads only the variables of these fields; `lookup` as in [`super::Config::from_vars`].
    ///
    /// # Errors
    /// All mistakes in them together.
    pub fn from_vars(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<LocalClientConfig, ConfigErrors> {
        let mut vars = Variables::new(&lookup);
        let config = LocalClientConfig {
            bind: vars.value("SIDECAR_BIND", bind),
            ops_bind: vars.optional("SIDECAR_OPS_BIND", bind),
            mount: vars.value("SIDECAR_MOUNT", mount),
            cookie_name: vars.value("DJANGO_SESSION_COOKIE_NAME", cookie_name),
        };
        vars.finish(Some(config))
    }
}

impl Bind {
    /// The address at which a client on this machine reaches a listener that is bound to this one; `None` if the system
    /// chooses the port.
    pub fn from_here(&self) -> Option<Bind> {
        let Bind::Tcp(mut address) = *self else {
            return Some(self.clone());
        };
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        (address.port() != 0).then_some(Bind::Tcp(address))
    }

    /// `http://address:port`, or `unix:/path`.
    pub fn url(&self) -> String {
        match self {
            Bind::Tcp(address) => format!("http://{address}"),
            Bind::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}
