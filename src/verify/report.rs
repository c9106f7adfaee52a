//! What an operator reads: a row for each request, every explanation once, the notes and the total.

use std::collections::BTreeMap;
use std::io::Write;

use super::cases::Case;
use super::explain::{Comparison, Explanation};

/// The results of a whole run.
pub(super) struct Report<'a> {
    pub(super) rows: Vec<(&'a Case, Comparison)>,
    pub(super) explanations: BTreeMap<String, Explanation>,
    pub(super) notes: Vec<String>,
}

impl Report<'_> {
    /// Whether a difference is not explained.
    pub(super) fn is_different(&self) -> bool {
        self.count(|comparison| matches!(comparison, Comparison::Different(_))) > 0
    }

    /// Prints it; `mount` is Django's path of the endpoints. If `quiet`, differences, notes and the total alone.
    pub(super) fn print(&self, mount: &str, quiet: bool) {
        // Nothing can be done about a closed standard output.
        let _ = std::io::stdout().write_all(self.text(mount, quiet).as_bytes());
    }

    fn text(&self, mount: &str, quiet: bool) -> String {
        let mut text = String::new();
        for (case, comparison) in &self.rows {
            let (word, differences) = match comparison {
                Comparison::Different(differences) => ("DIFFERENT", differences.as_slice()),
                _ if quiet => continue,
                Comparison::Same => ("same", [].as_slice()),
                Comparison::Explained => ("explained", [].as_slice()),
            };
            text += &row(word, mount, case);
            for difference in differences {
                text += &format!("            {difference}\n");
            }
        }
        if !quiet && !self.explanations.is_empty() {
            text += "explained, with each reason once:\n";
            for (what, explanation) in &self.explanations {
                text += &format!("            {what} {}\n", because(explanation));
            }
        }
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        let same = self.count(|comparison| matches!(comparison, Comparison::Same));
        let explained = self.count(|comparison| matches!(comparison, Comparison::Explained));
        let different = self.rows.len() - same - explained;
        text += &format!(
            "{} requests: {same} same, {explained} explained, {different} different\n",
            self.rows.len()
        );
        text
    }

    fn count(&self, counted: impl Fn(&Comparison) -> bool) -> usize {
        let rows = self.rows.iter();
        rows.filter(|(_, comparison)| counted(comparison)).count()
    }
}

fn row(word: &str, mount: &str, case: &Case) -> String {
    let caller = case.caller.name();
    let label = match case.note {
        "" => caller.to_owned(),
        note => format!("{caller}, {note}"),
    };
    let target = format!("{mount}{}", case.target);
    format!("{word:<11} {:<7} {target:<39} {label}\n", case.method)
}

/// How many answers an explanation is for, the values and why.
fn because(explanation: &Explanation) -> String {
    let Explanation {
        why,
        answers,
        values,
    } = explanation;
    let answers = match answers {
        1 => "1 answer".to_owned(),
        answers => format!("{answers} answers"),
    };
    match values {
        Some(values) => format!("({answers}; {values}): {why}"),
        None => format!("({answers}): {why}"),
    }
}
