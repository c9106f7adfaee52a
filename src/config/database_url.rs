//! `DATABASE_URL` as Django's own tools read it (dj-database-url 2, django-environ), turned into what Diesel takes.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;

use zeroize::Zeroizing;

/// Which database a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// SQLite
    Sqlite,
    /// PostgreSQL
    Postgres,
    /// MySQL or MariaDB
    Mysql,
}

impl Backend {
    /// The Cargo feature that brings this backend.
    pub fn feature(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
            Backend::Mysql => "mysql",
        }
    }
}

/// A database's address with its password: no `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct DatabaseUrl {
    backend: Backend,
    /// The URL for libpq and the MySQL client, the path of the file for SQLite.
    target: Zeroizing<String>,
}

impl DatabaseUrl {
    /// Parses `sqlite:////absolute/path`, `sqlite:///relative/path`, `postgres://`, `postgresql://` and `mysql://`.
    ///
    /// # Errors
    /// What is wrong with it, without repeating the URL, which may hold a password.
    pub fn parse(text: &str) -> Result<DatabaseUrl, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("is not a URL".into());
        };
        let (backend, target) = match scheme {
            "sqlite" => (Backend::Sqlite, sqlite_path(rest)?),
            "postgres" | "postgresql" => (Backend::Postgres, format!("postgresql://{rest}")),
            "mysql" => (Backend::Mysql, format!("mysql://{rest}")),
            _ => return Err("has a scheme other than sqlite, postgres and mysql".into()),
        };
        let feature = backend.feature();
        if !crate::features().contains(&feature) {
            return Err(format!(
                "needs a build with the feature {feature}: cargo build --release --features {feature}"
            ));
        }
        if backend != Backend::Sqlite {
            check_encoding(rest)?;
        }
        if target.contains('\0') {
            return Err("holds a NUL character".into());
        }
        Ok(DatabaseUrl {
            backend,
            target: Zeroizing::new(target),
        })
    }

    /// As [`DatabaseUrl::parse`], for the database that authenticates callers.
    ///
    /// # Errors
    /// Also if one of several hosts may be a standby: a standby that lags would still admit a user whom the primary refuses.
    pub fn parse_primary(text: &str) -> Result<DatabaseUrl, String> {
        let url = DatabaseUrl::parse(text)?;
        let parts = url.parts();
        let is_list = |name| parts.parameter(name).is_some_and(|list| list.contains(','));
        let are_several = parts.hosts.contains(',') || is_list("host") || is_list("hostaddr");
        let session = parts.parameter("target_session_attrs").unwrap_or_default();
        if are_several && !["read-write", "primary"].contains(&session.as_str()) {
            return Err(
                "names several hosts, of which a standby that lags might answer: add target_session_attrs=read-write"
                    .into(),
            );
        }
        Ok(url)
    }

    fn parts(&self) -> Parts<'_> {
        let behind_scheme = self.target.split_once("://");
        Parts::of(behind_scheme.map_or("", |(_, rest)| rest))
    }

    /// The first of its servers that is not on this machine, if the connection does not authenticate the server.
    pub fn unverified_host(&self) -> Option<String> {
        let parts = self.parts();
        let of = |name| parts.parameter(name);
        let is = |name, value: &str| of(name).is_some_and(|found| found == value);
        let is_verified = match self.backend {
            Backend::Sqlite => true,
            Backend::Postgres => {
                let verifies_ca = is("sslmode", "verify-full") || is("sslmode", "verify-ca");
                // libpq's `require` verifies as `verify-ca` does where a file of authorities is named. The last two
                // authenticate the server by the password's verifier and by Kerberos.
                verifies_ca
                    || (is("sslmode", "require") && of("sslrootcert").is_some())
                    || is("channel_binding", "require")
                    || is("gssencmode", "require")
                    // The service file may hold sslmode.
                    || of("service").is_some()
            }
            Backend::Mysql => of("ssl_mode").is_some_and(|mode| {
                ["verify_ca", "verify_identity"].contains(&mode.to_lowercase().as_str())
            }),
        };
        if is_verified {
            return None;
        }
        let listed = |list: String| list.split(',').map(str::to_owned).collect();
        let addresses: Vec<String> = of("hostaddr").map(listed).unwrap_or_default();
        let names: Vec<String> = match of("host") {
            Some(list) => listed(list),
            None => parts.addresses().map(|(host, _)| decoded(host)).collect(),
        };
        // An address replaces the name at the same index.
        let mut servers = (0..names.len().max(addresses.len())).filter_map(|index| {
            let address = addresses.get(index).filter(|address| !address.is_empty());
            address.or_else(|| names.get(index))
        });
        servers.find(|host| !is_this_machine(host)).cloned()
    }

    /// A client library's error text without the URL's passwords, encoded or not.
    pub fn without_secrets(&self, text: &str) -> String {
        // libpq repeats the part of a URL that it can't read, which may hold a password, and `parse` can't find all of those.
        if text.contains("URI") {
            return "the client library can't read the database's URL: it has a parameter that the library does not know, \
                    or a value that is not percent-encoded"
                .to_owned();
        }
        let mut shown = text.to_owned();
        for secret in self.secrets() {
            if shown.contains(secret.as_str()) {
                // The text around a very short password would give it away.
                if secret.len() < 4 {
                    return "the client library's text holds the password and is not shown"
                        .to_owned();
                }
                shown = shown.replace(secret.as_str(), "***");
            }
        }
        shown
    }

    /// The passwords in the URL, encoded and decoded, the longest first.
    fn secrets(&self) -> Vec<Zeroizing<String>> {
        let parts = self.parts();
        let of_user = parts.credentials.split_once(':');
        let is_secret = |(name, _): &(&str, &str)| ["password", "sslpassword"].contains(name);
        let mut secrets: Vec<_> = of_user
            .into_iter()
            .chain(parts.parameters().filter(is_secret))
            .flat_map(|(_, secret)| [secret.to_owned(), decoded(secret)])
            .filter(|secret| !secret.is_empty())
            .map(Zeroizing::new)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    /// The kind of database.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The ports of all addresses in the URL, the default port for an address without one. Empty for SQLite.
    pub fn ports(&self) -> Vec<u16> {
        let usual = match self.backend {
            Backend::Sqlite => return Vec::new(),
            Backend::Postgres => 5432,
            Backend::Mysql => 3306,
        };
        let parts = self.parts();
        // libpq reads ports from the query, too.
        let list = parts.parameter("port");
        let of_query = list.iter().flat_map(|list| list.split(','));
        let words = parts.addresses().map(|(_, port)| port).chain(of_query);
        let ports = words.map(|word| word.trim().parse().unwrap_or(usual));
        let mut ports: Vec<u16> = ports.collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Whether this is the path of the server's unix socket: one that the URL names, or one with the usual name.
    pub(crate) fn has_socket(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_usual = match self.backend {
            Backend::Sqlite => false,
            Backend::Postgres => name.starts_with(".s.PGSQL."),
            Backend::Mysql => matches!(name, "mysqld.sock" | "mysql.sock"),
        };
        let is_named = |path| decoded(&self.target).contains(path);
        is_usual || path.to_str().is_some_and(is_named)
    }

    /// The argument of the driver: a URL, or SQLite's path.
    pub fn target(&self) -> &str {
        &self.target
    }
}

/// A server's URL behind its scheme, in parts that are still percent-encoded.
struct Parts<'a> {
    credentials: &'a str,
    /// Hosts with their ports, with commas between them
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Parts<'a> {
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = location.split_once('/').unwrap_or((location, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Parts {
            credentials,
            hosts,
            path,
            query,
        }
    }

    /// Each host with its port, which may be empty. An IPv6 address comes without its brackets.
    fn addresses(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.hosts.split(',').map(|host| {
            let bracketed = host.strip_prefix('[').and_then(|host| host.split_once(']'));
            let (name, rest) =
                bracketed.unwrap_or_else(|| host.split_at(host.find(':').unwrap_or(host.len())));
            (name, rest.split_once(':').map_or("", |(_, port)| port))
        })
    }

    fn parameters(&self) -> impl DoubleEndedIterator<Item = (&'a str, &'a str)> {
        let parameters = self.query.split('&');
        parameters.filter_map(|parameter| parameter.split_once('='))
    }

    /// The value of a parameter, decoded. The last one counts, as in libpq.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut of_name = self.parameters().filter(|(known, _)| *known == name);
        of_name.next_back().map(|(_, value)| decoded(value))
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Whether a host is a unix socket, or reached without leaving this machine.
fn is_this_machine(host: &str) -> bool {
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.is_empty()
        || host.starts_with(['/', '@'])
        || host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(is_loopback)
}

/// Finds a text that is not percent-encoded, before a client library repeats it in an error: it may be a part of a password.
fn check_encoding(rest: &str) -> Result<(), String> {
    let parts = Parts::of(rest);
    let is_escape = |text: &str| {
        let digits = text.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    };
    let mut parameters = parts.query.split('&').filter(|one| !one.is_empty());
    let mut ports = parts.addresses().map(|(_, port)| port);
    let mistakes = [
        (
            !rest.split('%').skip(1).all(is_escape),
            "holds a broken percent sequence, or %00",
        ),
        (rest.contains('#'), "holds a #"),
        (parts.path.contains('@'), "holds an @ behind the host"),
        (
            !parameters.all(|one| one.matches('=').count() == 1),
            "has parameters that are not name=value with & between them",
        ),
        (parts.credentials.contains('@'), "holds more than one @"),
        (
            !ports.all(|port| port.bytes().all(|b| b.is_ascii_digit())),
            "has a port that is no number",
        ),
    ];
    match mistakes.iter().find(|(is_made, _)| *is_made) {
        None => Ok(()),
        Some((_, what)) => Err(format!(
            "{what}: percent-encode the password and every other value"
        )),
    }
}

fn sqlite_path(rest: &str) -> Result<String, String> {
    // sqlite://HOST/path has no host: sqlite:///relative, sqlite:////absolute.
    let Some(path) = rest.strip_prefix('/') else {
        return Err(
            "names no file: sqlite:/// and a relative path, sqlite://// and an absolute one".into(),
        );
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() || path == ":memory:" {
        return Err("names no file: a sidecar reads the database of another process".into());
    }
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| "holds a path that is not UTF-8".into())
}
