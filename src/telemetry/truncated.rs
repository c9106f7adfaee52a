//! Texts in log messages that a user can choose.

/// How many characters a message holds of a text that a user can choose.
const LONGEST_TEXT: usize = 256;

/// Text that came from a user or from a database, truncated for a log message.
pub fn truncated(text: &str) -> &str {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_users_is_truncated() {
        assert_eq!(truncated(&"é".repeat(10_000)), "é".repeat(LONGEST_TEXT));
    }
}
