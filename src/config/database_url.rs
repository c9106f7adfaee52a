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

    /// Whether this build speaks to it.
    pub fn is_built_in(self) -> bool {
        match self {
            Backend::Sqlite => cfg!(feature = "sqlite"),
            Backend::Postgres => cfg!(feature = "postgres"),
            Backend::Mysql => cfg!(feature = "mysql"),
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
        if !backend.is_built_in() {
            let feature = backend.feature();
            return Err(format!(
                "needs a build with the feature {feature}: cargo build --release --features {feature}"
            ));
        }
        if backend != Backend::Sqlite {
            check_escapes(rest)?;
            check_authority(rest)?;
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
        let is_writable = |words| ["read-write", "primary"].contains(&words);
        let (hosts, parameters) = url.hosts_and_parameters();
        let of = |name: &'static str| parameters.iter().filter(move |(known, _)| *known == name);
        let mut addresses = of("host").chain(of("hostaddr"));
        let are_several = hosts.contains(',') || addresses.any(|(_, value)| value.contains(','));
        if are_several && !of("target_session_attrs").any(|(_, words)| is_writable(words)) {
            return Err(
                "names several hosts, of which a standby that lags might answer: add target_session_attrs=read-write"
                    .into(),
            );
        }
        Ok(url)
    }

    /// The hosts as they stand in the URL, with ports, and its parameters, decoded.
    fn hosts_and_parameters(&self) -> (&str, Vec<(&str, String)>) {
        let rest = self.target.split_once("://").map_or("", |(_, rest)| rest);
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = location.split('/').next().unwrap_or_default();
        let hosts = authority.rsplit('@').next().unwrap_or_default();
        let parameters = query.split('&').filter_map(|one| one.split_once('='));
        (
            hosts,
            parameters
                .map(|(name, value)| (name, decoded(value)))
                .collect(),
        )
    }

    /// The first of its servers that is not on this machine, if the connection does not authenticate the server.
    pub fn unverified_host(&self) -> Option<String> {
        let (hosts, parameters) = self.hosts_and_parameters();
        // The last one counts, as in libpq.
        let of = |name: &str| {
            let mut last_first = parameters.iter().rev();
            last_first.find_map(|(known, value)| (*known == name).then_some(value.as_str()))
        };
        let is = |name: &str, value: &str| of(name) == Some(value);
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
        let in_authority = hosts.split(',').map(|host| {
            let bracketed = host.strip_prefix('[').and_then(|host| host.split_once(']'));
            let (host, _) = bracketed.unwrap_or(host.split_once(':').unwrap_or((host, "")));
            decoded(host)
        });
        let listed = |list: &str| list.split(',').map(str::to_owned).collect();
        let addresses: Vec<String> = of("hostaddr").map(listed).unwrap_or_default();
        let names: Vec<String> = match of("host") {
            Some(list) => listed(list),
            None => in_authority.collect(),
        };
        // An address replaces the name at the same index.
        let mut servers = (0..names.len().max(addresses.len())).filter_map(|index| {
            let address = addresses.get(index).filter(|address| !address.is_empty());
            address.or_else(|| names.get(index))
        });
        servers.find(|host| !is_this_machine(host)).cloned()
    }

    /// A client library's error text without the URL's passwords, encoded or not.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
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
        if self.backend == Backend::Sqlite {
            return Vec::new();
        }
        let rest = self.target.split_once("://").map_or("", |(_, rest)| rest);
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let credentials = location
            .rsplit_once('@')
            .map_or("", |(credentials, _)| credentials);
        let of_user = credentials.split_once(':').map(|(_, password)| password);
        let parameters = query.split('&').filter_map(|one| one.split_once('='));
        let of_parameters = parameters
            .filter(|(name, _)| ["password", "sslpassword"].contains(name))
            .map(|(_, value)| value);
        let mut secrets: Vec<_> = of_user
            .into_iter()
            .chain(of_parameters)
            .flat_map(|raw| [raw.to_owned(), decoded(raw)])
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
        let (hosts, parameters) = self.hosts_and_parameters();
        let port_of = |host| {
            after_address(host)
                .split_once(':')
                .map_or("", |(_, port)| port)
        };
        let mut words: Vec<String> = hosts.split(',').map(port_of).map(str::to_owned).collect();
        // libpq reads addresses from the query, too.
        for (_, port) in parameters.iter().filter(|(name, _)| *name == "port") {
            words.extend(port.split(',').map(str::to_owned));
        }
        let mut ports: Vec<u16> = words
            .iter()
            .map(|word| word.trim().parse().unwrap_or(usual))
            .collect();
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
        is_usual
            || path
                .to_str()
                .is_some_and(|path| decoded(&self.target).contains(path))
    }

    /// The argument of the driver: a URL, or SQLite's path.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// Whether a host is a unix socket, or reached without leaving this machine.
fn is_this_machine(host: &str) -> bool {
    host.is_empty()
        || host.starts_with(['/', '@'])
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// The advice in errors about a text that is not encoded.
const HINT: &str = "percent-encode the password";

/// Finds a text that is not percent-encoded, before a client library repeats it in an error: it may be a part of a password.
fn check_escapes(rest: &str) -> Result<(), String> {
    let mut escapes = rest.split('%').skip(1);
    let is_escape = |text: &str| {
        let digits = text.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    };
    if !escapes.all(is_escape) {
        return Err(format!("holds a broken percent sequence, or %00: {HINT}"));
    }
    if rest.contains('#') {
        return Err(format!("holds a #: {HINT}"));
    }
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = location.split_once('/').map_or("", |(_, path)| path);
    if path.contains('@') {
        return Err(format!("holds an @ behind the host: {HINT}"));
    }
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let is_pair = |parameter: &str| parameter.matches('=').count() == 1;
    match parameters.all(is_pair) {
        true => Ok(()),
        false => Err(format!(
            "has parameters that are not name=value with & between them: {HINT}, and every other value"
        )),
    }
}

/// Finds a password that was not percent-encoded before a driver does, which might repeat it in an error.
fn check_authority(rest: &str) -> Result<(), String> {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if credentials.contains('@') {
        return Err(format!("holds more than one @: {HINT}"));
    }
    let has_good_port = |host: &str| {
        let port = after_address(host)
            .split_once(':')
            .map_or("", |(_, port)| port);
        port.bytes().all(|b| b.is_ascii_digit())
    };
    match hosts.split(',').all(has_good_port) {
        true => Ok(()),
        false => Err(format!("has a port that is no number: {HINT}")),
    }
}

/// The text behind an IPv6 address in brackets, or all of it.
fn after_address(host: &str) -> &str {
    host.rsplit_once(']').map_or(host, |(_, rest)| rest)
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
