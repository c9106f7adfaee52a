//! `DATABASE_URL` as Django's own tools read it (dj-database-url 2, django-environ), turned into what Diesel takes.

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

    /// As [`DatabaseUrl::parse`], of the database where it is decided who is calling.
    ///
    /// # Errors
    /// Also where one of several hosts may be a standby: one that lags would admit whom the primary refuses.
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
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split(['/', '#']).next().unwrap_or_default();
        let hosts = authority.rsplit('@').next().unwrap_or_default();
        let parameters = query.split('#').next().unwrap_or_default().split('&');
        let decoded = |value| {
            percent_encoding::percent_decode_str(value)
                .decode_utf8_lossy()
                .into_owned()
        };
        let parameters = parameters.filter_map(|parameter| parameter.split_once('='));
        (
            hosts,
            parameters
                .map(|(name, value)| (name, decoded(value)))
                .collect(),
        )
    }

    /// Which database it names.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The ports of all addresses that the URL names, the usual one where it names none; empty: there is no server.
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
        // libpq takes addresses from the query, too.
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

    /// What the driver takes: a URL, or SQLite's path.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }
}

/// Finds a password that was not percent-encoded before a driver does, which might repeat it in an error.
fn check_authority(rest: &str) -> Result<(), String> {
    const HINT: &str = "percent-encode the password";
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if credentials.contains('@') {
        return Err(format!("holds more than one @: {HINT}"));
    }
    let is_encoded = |text: &str| {
        let mut pieces = text.split('%').skip(1);
        pieces.all(|piece| piece.len() >= 2 && piece.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
    };
    if !is_encoded(authority) {
        return Err(format!("holds a broken percent sequence: {HINT}"));
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

/// What stands behind an address of IPv6, or all of it.
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
