//! Names as databases compare them: the collations of MySQL and MariaDB take many for equal, and whoever guesses a
//! password must not begin anew under every spelling.
//!
//! What a collation takes for equal is folded to the same text, as far as names are made of the usual letters of the
//! usual scripts; more may be. All other characters, which may be equal to some of those or to nothing, make a name odd.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A name, folded.
pub(super) struct Folded {
    pub(super) name: String,
    /// It may be equal to names that are folded otherwise
    pub(super) is_odd: bool,
}

impl Folded {
    /// Without case, accents, blanks, and what is hardly seen.
    pub(super) fn new(name: &str) -> Folded {
        let letters = name.nfkd().filter(|c| !is_combining_mark(*c));
        let mut folded = String::with_capacity(name.len());
        for letter in letters.flat_map(char::to_lowercase) {
            match letter {
                'æ' => folded.push_str("ae"),
                'œ' => folded.push_str("oe"),
                // ß is s in one collation and ss in another.
                's' | 'ß' if folded.ends_with('s') => {}
                c if c.is_alphanumeric() || c.is_ascii_graphic() => folded.push(plainer(c)),
                _ => {}
            }
        }
        Folded {
            name: folded,
            is_odd: !name.chars().all(is_usual),
        }
    }
}

/// The letter that is written for this one, or the digit.
fn plainer(letter: char) -> char {
    const PAIRS: [(&str, &str); 5] = [
        ("øłđðħßı", "olddhsi"),
        ("ςґ", "σг"),
        ("ךםןףץ", "כמנפצ"),
        ("ぁぃぅぇぉっゃゅょゎゕゖ", "あいうえおつやゆよわかけ"),
        ("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789"),
    ];
    if letter.is_ascii() {
        return letter;
    }
    // Katakana stands in the order of hiragana.
    let letter = match letter {
        'ァ'..='ヶ' => char::from_u32(letter as u32 - 0x60).unwrap_or(letter),
        letter => letter,
    };
    let pairs = PAIRS
        .iter()
        .flat_map(|(from, to)| from.chars().zip(to.chars()));
    pairs
        .into_iter()
        .find(|(from, _)| *from == letter)
        .map_or(letter, |(_, to)| to)
}

/// Whether it is known which others a collation takes for equal to it: the test below asks a server.
fn is_usual(c: char) -> bool {
    matches!(c,
        ' '..='\u{148}' | '\u{14a}'..='\u{17f}' | '\u{300}'..='\u{344}' | '\u{1e00}'..='\u{1e99}' | '\u{1e9b}'..='\u{1ef9}' // Latin, accents
        | 'Ά'..='ώ' | 'Ѐ'..='џ' | 'Ґ' | 'ґ' | 'Ӑ'..='ӹ' // Greek, Cyrillic
        | 'Ա'..='և' | 'ა'..='ჰ' // Armenian, Georgian
        | 'א'..='ת' | 'ء'..='غ' | 'ف'..='ي' | '٠'..='٩' | '۰'..='۹' | 'پ' | 'چ' | 'ک' | 'گ' | 'ی' // Hebrew, Arabic
        | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='\u{9fa5}' | '가'..='힣' // East Asian
        | '！'..='～') // Of full width
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(name: &str) -> String {
        Folded::new(name).name
    }

    #[test]
    fn spellings_that_a_collation_takes_for_equal_are_one_name() {
        for (name, others) in [
            (
                "admin",
                &[
                    "Ádmin ",
                    "ADMİN",
                    "ａｄｍｉｎ",
                    "ad\u{ad}min",
                    "a\u{200b}dmin",
                    "\u{7f}admin",
                ][..],
            ),
            ("strase", &["straße", "STRASSE", "ſtraſe"]),
            ("bjorn", &["bjørn", "Björn"]),
            ("user7", &["user٧", "user۷", "user７"]),
            ("あつ", &["アッ", "ぁっ"]),
        ] {
            assert_eq!(fold(name), name);
            others
                .iter()
                .for_each(|other| assert_eq!(fold(other), name, "{other:?}"));
        }
        assert_ne!(fold("a.b"), fold("ab"));
        assert_ne!(fold("alice"), fold("alicia"));
    }

    #[test]
    fn what_may_be_equal_to_anything_is_odd() {
        for (name, is_odd) in [
            ("Bjørn.O'Brien+7@example.com", false),
            ("Жанна", false),
            ("たろう", false),
            ("\u{363}dmin", true),
            ("a\u{200b}dmin", true),
            ("𝐚dmin", true),
            ("ꟁdmin", true),
            ("😀", true),
        ] {
            assert_eq!(Folded::new(name).is_odd, is_odd, "{name:?}");
        }
    }

    /// Of every usual character, asks a server for the weights by which it compares. Those of a name follow each other;
    /// so equal names are folded alike when equal weights are, one by one.
    #[cfg(feature = "mysql")]
    #[test]
    fn a_server_takes_no_names_for_equal_that_are_folded_otherwise() {
        use std::collections::HashMap;

        use diesel::sql_types::{BigInt, Text};
        use diesel::{Connection, MysqlConnection, QueryableByName, RunQueryDsl};

        #[derive(QueryableByName)]
        struct Weight {
            #[diesel(sql_type = BigInt)]
            number: i64,
            #[diesel(sql_type = Text)]
            weights: String,
        }

        let Ok(url) = std::env::var("TEST_MYSQL_URL") else {
            println!("skipped on MariaDB: TEST_MYSQL_URL is not set");
            return;
        };
        let mut conn = MysqlConnection::establish(&url).unwrap();
        let mut compared = 0;
        for collation in [
            "general_ci",
            "unicode_ci",
            "unicode_520_ci",
            "uca1400_ai_ci",
        ] {
            let rows = diesel::sql_query(format!(
                "SELECT CAST(seq AS SIGNED) AS number, HEX(WEIGHT_STRING(CONVERT(CHAR(seq USING utf32) USING utf8mb4) \
                 COLLATE utf8mb4_{collation})) AS weights FROM mysql.seq_32_to_65533"
            ));
            let Ok(rows) = rows.load::<Weight>(&mut conn) else {
                // MySQL, or an old MariaDB.
                continue;
            };
            let letters: Vec<(String, Vec<String>)> = rows
                .iter()
                .filter_map(|row| {
                    Some((char::from_u32(row.number.try_into().ok()?)?, &row.weights))
                })
                .filter(|(letter, _)| is_usual(*letter))
                .map(|(letter, weights)| (fold(&letter.to_string()), units(weights)))
                .collect();
            let mut meanings: HashMap<String, String> = HashMap::new();
            for (folded, units) in &letters {
                if let [unit] = units.as_slice() {
                    let meaning = meanings
                        .entry(unit.clone())
                        .or_insert_with(|| folded.clone());
                    assert_eq!(meaning, folded, "{unit} in {collation}");
                }
            }
            for (folded, units) in &letters {
                // What no usual character has for itself, such as a fraction's stroke, is nothing.
                let parts = units
                    .iter()
                    .map(|unit| meanings.entry(unit.clone()).or_default().clone());
                let meant: String = parts.collect();
                assert_eq!(fold(&meant), *folded, "{units:?} in {collation}");
            }
            compared += letters.len();
        }
        assert!(compared > 60_000, "{compared}");
    }

    /// Weights of four digits; two of them for a character that has none of its own.
    #[cfg(feature = "mysql")]
    fn units(weights: &str) -> Vec<String> {
        let mut units: Vec<String> = Vec::new();
        for start in (0..weights.len()).step_by(4) {
            let weight = &weights[start..start + 4];
            match units.last_mut() {
                Some(unit) if unit.len() == 4 && unit.as_str() >= "FB00" => unit.push_str(weight),
                _ => units.push(weight.to_owned()),
            }
        }
        units
    }
}
