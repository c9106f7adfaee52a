//! What the errors of the databases' client libraries mean, and what the operator can do.

/// A cause of errors.
struct Cause {
    /// Phrases in lower case with | between them. The error holds one of them; a * in it stands for any text
    phrases: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

/// The first that matches is taken.
const CAUSES: &[Cause] = &[
    Cause {
        phrases: "no pg_hba.conf entry",
        meaning: ANOTHER_ADDRESS,
        advice: "add a line to pg_hba.conf for this role, database and address, then SELECT pg_reload_conf()",
    },
    Cause {
        phrases: "is not allowed to connect to this",
        meaning: ANOTHER_ADDRESS,
        advice: "create the account for this machine's address: 'user'@'address'",
    },
    Cause {
        phrases: "could not translate host name|unknown server host|unknown mysql server host",
        meaning: "the host's name is not known on this machine",
        advice: "check the spelling, and whether this machine (or container) resolves it: getent hosts NAME",
    },
    Cause {
        phrases: "access denied*to database|permission denied for database",
        meaning: "the role may not enter this database",
        advice: "run the file of grants in deploy/ for this database",
    },
    Cause {
        phrases: "password authentication failed|access denied for user|no password supplied",
        meaning: "the server refuses the role's name or password",
        advice: "compare both with the server's; in a URL every character of a password but letters, digits and -._~ must be \
                 percent-encoded",
    },
    Cause {
        phrases: "unknown database|database \"*does not exist",
        meaning: "the server has no database of this name",
        advice: "use the NAME of Django's DATABASES setting",
    },
    Cause {
        phrases: "role \"*does not exist",
        meaning: "the server has no role of this name",
        advice: "make it with the file of grants in deploy/",
    },
    Cause {
        phrases: "too many connections|too many clients|connection slots",
        meaning: "every connection that the server, the database or the role may have is taken",
        advice: "raise the limit (ALTER ROLE ... CONNECTION LIMIT, max_connections), or see who holds them",
    },
    Cause {
        phrases: "certificate|ssl|tls",
        meaning: "the encrypted connection does not come about",
        advice: "compare sslmode/ssl_mode, the certificate authority's file and the host's name with the server's certificate",
    },
    Cause {
        phrases: "connection refused|(111|no such file or directory|(2 \"no",
        meaning: "no server listens there",
        advice: "start the server, or correct host, port or socket in the URL; a server on another machine must listen on its \
                 network address",
    },
    Cause {
        phrases: "timeout|timed out|no answer within|unreachable|no route",
        meaning: "there is no answer from this address",
        advice: "check host and port, and the firewalls between",
    },
];

const ANOTHER_ADDRESS: &str =
    "the server admits this role from another address, to another database or with TLS only";

/// The meaning of an error, and advice.
pub(super) fn meaning(error: &str) -> (&'static str, &'static str) {
    let error = error.to_ascii_lowercase();
    let holds = |phrase: &str| phrase.split('*').all(|part| error.contains(part));
    let mut causes = CAUSES.iter();
    let cause = causes.find(|cause| cause.phrases.split('|').any(holds));
    let unknown = (
        "no connection can be made",
        "see the server's log for the reason",
    );
    cause.map_or(unknown, |cause| (cause.meaning, cause.advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_client_libraries_are_understood() {
        for case in [
            "no pg_hba.conf entry for host \"::1\", no encryption -> from another address",
            "Host '::1' is not allowed to connect to this server -> from another address",
            "Access denied for user 'x'@'%' to database 'y' -> may not enter",
            "FATAL: role \"x\" does not exist -> no role of this name",
            "FATAL: too many connections for role \"x\" -> is taken",
            "server does not support SSL, but SSL was required -> encrypted",
            "no answer within 10 seconds -> no answer",
            "something new -> no connection can be made",
        ] {
            let (error, expected) = case.split_once(" -> ").unwrap();
            let (meaning, _) = meaning(error);
            assert!(meaning.contains(expected), "{error}: {meaning}");
        }
    }
}
