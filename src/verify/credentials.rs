//! The session cookie, the user and password, and the token that both servers get. They come from files, since other users of
//! the machine can read a command line.

use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Values of headers. They are secrets, so there is no `Debug`.
pub(super) struct Credentials {
    /// The value of `Cookie`
    pub(super) cookie: Option<Zeroizing<String>>,
    /// The value of `Authorization` with a name and a password
    pub(super) basic: Option<Zeroizing<String>>,
    /// The value of `Authorization` with a token
    pub(super) token: Option<Zeroizing<String>>,
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub(super) fn read(
        cookie_file: Option<&Path>,
        basic_file: Option<&Path>,
        token_file: Option<&Path>,
        cookie_name: &str,
    ) -> Result<Credentials, String> {
        let options = [
            ("--cookie-file", cookie_file),
            ("--basic-file", basic_file),
            ("--token-file", token_file),
        ];
        let mut of_stdin = options
            .iter()
            .filter(|(_, file)| *file == Some(Path::new("-")));
        if let (Some((one, _)), Some((other, _))) = (of_stdin.next(), of_stdin.next()) {
            return Err(format!("{one} and {other} can't both be standard input"));
        }
        let read = |option: &str, file: Option<&Path>, parse: &dyn Fn(&str) -> Secret| {
            let secret = file.map(|path| contents(path).and_then(|text| parse(&text)));
            secret
                .transpose()
                .map_err(|error| format!("{option} {error}"))
        };
        Ok(Credentials {
            cookie: read("--cookie-file", cookie_file, &|text| {
                cookie(text, cookie_name)
            })?,
            basic: read("--basic-file", basic_file, &basic)?,
            token: read("--token-file", token_file, &token)?,
        })
    }
}

type Secret = Result<Zeroizing<String>, String>;

fn contents(path: &Path) -> Secret {
    let mut text = Zeroizing::new(String::new());
    let read = match path == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| format!("can't be read: {error}"))?;
    Ok(text)
}

/// The value of `Authorization` out of a file's text.
fn basic(text: &str) -> Secret {
    let line = text.trim_end_matches(['\r', '\n']);
    match line.contains(':') && !line.contains('\n') {
        true => Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(line)))),
        false => Err("holds no line user:password".to_owned()),
    }
}

/// The value of `Authorization` out of a file's text: a key, or keyword and key.
fn token(text: &str) -> Secret {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_right = words
        .iter()
        .all(|word| word.bytes().all(|byte| byte.is_ascii_graphic()));
    match words.as_slice() {
        [key] if is_right => Ok(Zeroizing::new(format!("Token {key}"))),
        [keyword, key] if is_right => Ok(Zeroizing::new(format!("{keyword} {key}"))),
        _ => Err("holds no token".to_owned()),
    }
}

/// The value of `Cookie` out of a file's text.
fn cookie(text: &str, name: &str) -> Secret {
    // curl's file has a line of seven fields for each cookie.
    let fields = |line: &'_ str| -> Option<(String, String)> {
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            [_, _, _, _, _, name, value] if !line.starts_with('#') => {
                Some((name.to_string(), value.trim().to_owned()))
            }
            _ => None,
        }
    };
    let mut jar = text.lines().filter_map(fields).peekable();
    let cookie = if jar.peek().is_some() {
        let found = jar.find(|(found, _)| found == name);
        let (_, value) = found.ok_or_else(|| format!("holds no cookie of the name {name}"))?;
        format!("{name}={value}")
    } else {
        let line = text.trim();
        let line = line.strip_prefix("Cookie:").unwrap_or(line).trim();
        match line.contains('=') {
            true => line.to_owned(),
            false => format!("{name}={line}"),
        }
    };
    match cookie.ends_with('=') || cookie.bytes().any(|byte| byte.is_ascii_control()) {
        true => Err("holds no cookie".to_owned()),
        false => Ok(Zeroizing::new(cookie)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_as_a_value_a_header_or_a_file_of_curl() {
        let jar = "# Netscape HTTP Cookie File\n\n\
                   127.0.0.1\tFALSE\t/\tFALSE\t0\tcsrftoken\tother\n\
                   #HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t1999999999\tsessionid\tabcdefgh\n";
        for text in [
            jar,
            "abcdefgh\n",
            "sessionid=abcdefgh\n",
            "Cookie: sessionid=abcdefgh\r\n",
        ] {
            let read = cookie(text, "sessionid");
            assert_eq!(
                read.as_deref().map(String::as_str),
                Ok("sessionid=abcdefgh"),
                "{text}"
            );
        }
        assert!(cookie(jar, "other").is_err());
        for text in ["", "\n", "sessionid=a\nX: y", "sessionid="] {
            assert!(cookie(text, "sessionid").is_err(), "{text:?}");
        }
    }
}
