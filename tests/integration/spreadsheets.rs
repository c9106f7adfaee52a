//! The export as CSV in spreadsheets that split at other characters than commas: no user's text becomes a formula.

use crate::database::Database;
use crate::formats::Scenario;

/// The cells of a table as a spreadsheet has them that splits at these characters and takes quotes for quotes, or for
/// letters: quotes hold a cell together only if it begins with them.
fn cells(table: &str, separators: &[char], knows_quotes: bool) -> Vec<String> {
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut is_quoted, mut is_start) = (false, true);
    let mut letters = table.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if knows_quotes && is_start => is_quoted = true,
            '"' if is_quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' if is_quoted => is_quoted = false,
            _ if !is_quoted && (separators.contains(&letter) || "\r\n".contains(letter)) => {
                cells.push(std::mem::take(&mut cell));
                is_start = true;
                continue;
            }
            letter => cell.push(letter),
        }
        is_start = false;
    }
    cells
}

#[test]
fn no_spreadsheet_finds_a_formula_wherever_it_splits() {
    let scenario = Scenario::over(Database::filled_sqlite());
    for (id, text) in (70..).zip([
        "x;=cmd|''/C calc''!A0",
        "x\t=1+1",
        "\t=1+1",
        "x|@SUM(1)",
        "x,+1",
        "Jean -1",
        "x\";\"=1+1",
        "x;\"\"=1",
        "\";=1",
        "two\n=1",
        "two\r\n\t =1",
        "\u{a0}=1",
        "x;\u{ff1d}1",
        "x;a:=1",
    ]) {
        scenario.database.execute(&format!(
            "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, \
             date_joined, is_tv_user, is_movie_user) VALUES ({id}, '', false, '{id}{text}', '{text}', '{text}', 'a+b@example.org', false, true, \
             '2021-01-01 00:00:00', true, false)"
        ));
    }
    let separators = [",", ";", "\t", "|", " ", ":", "\t,;", "\t,; "];
    let is_formula = |cell: &String| {
        cell.trim_start()
            .starts_with(['=', '+', '-', '@', '\u{ff1d}'])
    };
    for (query, has_formulas) in [("?format=csv", false), ("?format=csv&formulas=keep", true)] {
        let table = scenario.get(query, &[]);
        assert_eq!(table.text().matches(",a+b@example.org,").count(), 14);
        for separators in separators.map(|separators| separators.chars().collect::<Vec<_>>()) {
            for knows_quotes in [true, false] {
                let found = cells(table.text(), &separators, knows_quotes);
                let formula = found.iter().find(|cell| is_formula(cell));
                assert_eq!(
                    formula.is_some(),
                    has_formulas,
                    "{separators:?} {knows_quotes} {formula:?}"
                );
            }
        }
    }
}
