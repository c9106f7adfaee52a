//! Numbers as text.

/// `1,234,567`
pub(super) fn with_commas(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// [`with_commas`] for the templates.
#[askama::filter_fn]
pub fn thousands(number: impl std::fmt::Display, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(with_commas(number))
}
