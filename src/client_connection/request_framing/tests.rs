use super::*;

/// What is handed over once these pieces have come, and how many bytes of a body are missing then.
fn handed_over(pieces: &[&str]) -> (String, u64) {
    let mut framing = RequestFraming::default();
    let mut out = String::new();
    let mut room = [0; 5];
    for piece in pieces {
        let body = framing.body_left().min(piece.len() as u64) as usize;
        framing.body_came(body);
        out.push_str(&piece[..body]);
        framing.push(&piece.as_bytes()[body..]);
        while framing.is_ready() {
            let mut buf = ReadBuf::new(&mut room);
            framing.hand_over(&mut buf);
            out.push_str(std::str::from_utf8(buf.filled()).unwrap());
        }
    }
    (out, framing.body_left())
}

const UPGRADE: &str = "GET /upgrade HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nX-Upgrade: upgrade\r\n\r\n";
const IGNORING: &str = "GET /upgrade HTTP/1.1\r\nConnection: ignored, HTTP2-Settings\r\nignored: h2c\r\nX-Upgrade: upgrade\r\n\r\n";

#[test]
fn requests_are_the_same_wherever_they_are_cut() {
    let body = "\nUpgrade: x\r\n\r\nConnection: upgrade\n\n";
    let post = format!(
        "POST / HTTP/1.1\r\ncontent-LENGTH: {}\r\n\r\n{body}",
        body.len()
    );
    for before in [
        "",
        "\r\n",
        UPGRADE,
        &post,
        &format!("{post}\r\n{UPGRADE}{post}"),
    ] {
        let requests = format!("{before}{UPGRADE}{post}\n{UPGRADE}");
        let expected = requests.replace(UPGRADE, IGNORING);
        for cut in 0..requests.len() {
            let (start, rest) = requests.split_at(cut);
            assert_eq!(handed_over(&[start, rest]), (expected.clone(), 0), "{cut}");
        }
        let bytes: Vec<&str> = requests.split_inclusive(|_| true).collect();
        assert_eq!(handed_over(&bytes), (expected, 0));
    }
}

#[test]
fn an_upgrade_is_ignored_in_every_spelling() {
    let head = "POST / HTTP/1.1\nCONNECTION:close ,\tuPGRADE\r\nupgrade:websocket\n\n";
    let expected = "POST / HTTP/1.1\nCONNECTION:close ,\tignored\r\nignored:websocket\n\n";
    assert_eq!(handed_over(&[head]), (expected.to_owned(), 0));
}

#[test]
fn a_head_is_handed_over_when_it_is_whole_and_not_before() {
    assert_eq!(
        handed_over(&["GET / HTTP/1.1\r\nHost: x\r\n\r"]),
        (String::new(), 0)
    );
    assert_eq!(handed_over(&["\r\n", "\r\n", "GET"]), (String::new(), 0));
    let half_behind = handed_over(&[&format!("{IGNORING}GET / HTTP")]);
    assert_eq!(half_behind, (IGNORING.to_owned(), 0));
}

#[test]
fn what_is_behind_an_unknown_length_is_left_to_actix() {
    for header in [
        "Transfer-Encoding: chunked",
        "Content-Length: +1",
        "Content-Length: 1, 1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length: 1\r\nContent-Length: 1",
    ] {
        let head = format!("POST / HTTP/1.1\r\n{header}\r\n\r\n");
        let all = format!("{head}a\r\n\r\n{UPGRADE}");
        let (out, body_left) = handed_over(&[&all]);
        assert!(out == all && body_left > u64::MAX / 2, "{header}");
    }
    let connect = format!("CONNECT x:1 HTTP/1.1\r\n\r\n{UPGRADE}");
    assert_eq!(handed_over(&[&connect]).0, connect);
}

#[test]
fn a_head_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let head = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(length - 23));
    let largest = head(LARGEST_HEAD);
    assert_eq!(largest.len(), LARGEST_HEAD);
    let substitute = std::str::from_utf8(SUBSTITUTE).unwrap();
    let larger = head(LARGEST_HEAD + 1);
    let behind_a_line = format!("\r\n{largest}");
    for step in [700, 8192, 50_000] {
        let pieces = |text: &str| -> Vec<String> {
            let pieces = text.as_bytes().chunks(step);
            pieces
                .map(|piece| String::from_utf8(piece.to_vec()).unwrap())
                .collect()
        };
        for (text, expected) in [
            (&largest, largest.as_str()),
            (&larger, substitute),
            (&behind_a_line, substitute),
        ] {
            let mut framing = RequestFraming::default();
            let mut out = vec![0; 40_000];
            let mut buf = ReadBuf::new(&mut out);
            for piece in pieces(text) {
                if !framing.is_too_large() {
                    framing.push(piece.as_bytes());
                }
            }
            framing.hand_over(&mut buf);
            assert!(buf.filled() == expected.as_bytes(), "{step}");
            assert_eq!(framing.is_too_large(), expected == substitute);
        }
    }
}
