//! What a client on the same machine must know of the service: no secrets, so that a health check needs none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::values::{bind, boolean, cookie_name, mount};
use super::variables::Variables;
use super::{Bind, ConfigErrors};

/// Where the service listens, and what its answers depend on.
pub struct Reach {
    /// The main listener
    pub bind: Bind,
    /// The one of the health checks, if they have one of their own
    pub ops_bind: Option<Bind>,
    /// The path the endpoints live under
    pub mount: String,
    /// `SESSION_COOKIE_NAME`
    pub cookie_name: String,
    /// `DEBUG`
    pub debug: bool,
}

impl Reach {
    /// Reads these variables alone.
    ///
    /// # Errors
    /// All mistakes in them together.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Reach, ConfigErrors> {
        let mut vars = Variables::new(&lookup);
        let main = vars.value("SIDECAR_BIND", bind);
        let ops_bind = vars.optional("SIDECAR_OPS_BIND", bind);
        let mount = vars.value("SIDECAR_MOUNT", mount);
        let cookie_name = vars.value("DJANGO_SESSION_COOKIE_NAME", cookie_name);
        let debug = vars.value("DJANGO_DEBUG", boolean);
        let errors = vars.into_errors();
        let reach = || {
            Some(Reach {
                bind: main?,
                ops_bind,
                mount: mount?,
                cookie_name: cookie_name?,
                debug: debug?,
            })
        };
        match reach() {
            Some(reach) if errors.is_empty() => Ok(reach),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

impl Bind {
    /// Where a client on this machine finds a listener that is bound so; `None`: the system chose its port.
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
}
