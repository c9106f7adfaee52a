//! Reads every Markdown file of the repository: relative links and anchors lead somewhere, paths in backticks exist,
//! docs/configuration.md lists the variables that the program reads, and docs/architecture.md the rooms of src/lib.rs. Needs
//! nothing but the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

struct Repository {
    root: PathBuf,
    /// Relative to the root.
    files: Vec<PathBuf>,
}

impl Repository {
    fn read() -> Repository {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        Repository { root, files }
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn documents(&self) -> impl Iterator<Item = (&str, String)> {
        let names = self.files.iter().filter_map(|file| file.to_str());
        let documents = names.filter(|file| file.ends_with(".md"));
        documents.map(|file| (file, self.text(file)))
    }

    /// What is wrong in a document, each as `file:line: problem`.
    fn problems(&self, file: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (number, line) in prose(text) {
            let (without_code, spans) = code_spans(line);
            let found = links(&without_code)
                .into_iter()
                .filter_map(|link| self.broken_link(file, text, link))
                .chain(
                    spans
                        .iter()
                        .filter_map(|span| self.missing_path(file, span)),
                );
            problems.extend(found.map(|problem| format!("{file}:{number}: {problem}")));
        }
        problems
    }

    fn broken_link(&self, file: &str, text: &str, link: &str) -> Option<String> {
        if link.contains("://") || link.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = beside(file, path);
        if !path.is_empty() && !self.root.join(&target).exists() {
            return Some(format!("the link {link} leads to no file"));
        }
        let is_heading = match (path, anchor) {
            (_, "") => true,
            ("", anchor) => anchors(text).contains(anchor),
            (_, anchor) => anchors(&self.text(&target)).contains(anchor),
        };
        (!is_heading).then(|| format!("the link {link} leads to no heading"))
    }

    /// Text in backticks is taken for a path if its first folder stands in the root or beside the document, and then must
    /// exist relative to either. A Rust file or a Python test may be named without its folder, but not in SECURITY.md, where
    /// the name leads to a promise's test; `x.rs` stands for any.
    fn missing_path(&self, file: &str, span: &str) -> Option<String> {
        let path = span.split_whitespace().next()?.trim_end_matches('/');
        let is_there = |path: &str| self.exists(path) || self.exists(&beside(file, path));
        let is_missing = match path.split_once('/') {
            Some((folder, _)) => {
                let is_path = !folder.is_empty() && folder != "target" && is_there(folder);
                is_path && !is_there(path)
            }
            None => {
                let is_test = path.starts_with("test_") && path.ends_with(".py");
                let is_source = path.ends_with(".rs") && path != "x.rs" || is_test;
                if is_source && file == "SECURITY.md" {
                    return Some(format!("{path} is named without its folder"));
                }
                is_source && !self.files.iter().any(|file| file.ends_with(path))
            }
        };
        is_missing.then(|| format!("there is no {path}"))
    }

    /// Whether there is such a file or folder; `*` stands for any text in its last name.
    fn exists(&self, path: &str) -> bool {
        let Some((before, after)) = path.split_once('*') else {
            return self.root.join(path).exists();
        };
        let is_match = |file: &PathBuf| {
            let name = file.to_str().and_then(|file| file.strip_prefix(before));
            name.and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|between| !between.contains('/'))
        };
        self.files.iter().any(is_match)
    }
}

/// Lists the files below a folder. Builds and hidden folders hold no sources.
fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries.map(|entry| entry.expect("an entry of a folder")) {
        let (path, kind) = (entry.path(), entry.file_type().expect("a file's type"));
        let name = entry.file_name();
        let is_skipped = name == "target" || name.to_string_lossy().starts_with('.');
        if kind.is_dir() && !is_skipped {
            walk(root, &path, files);
        } else if kind.is_file() {
            let relative = path.strip_prefix(root).expect("a path below the root");
            files.push(relative.to_owned());
        }
    }
}

/// The lines that are no code block, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    let lines = text.lines().enumerate();
    lines.filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        let is_code = is_fence || is_fenced || line.starts_with("    ");
        (!is_code).then_some((index + 1, line))
    })
}

/// The line without what stands in backticks, and what stands there.
fn code_spans(line: &str) -> (String, Vec<&str>) {
    let pieces: Vec<&str> = line.split('`').collect();
    let text = pieces.iter().step_by(2).copied().collect();
    (text, pieces.into_iter().skip(1).step_by(2).collect())
}

/// The targets of `[text](target)`.
fn links(line: &str) -> Vec<&str> {
    let rests = line.split("](").skip(1);
    rests
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .collect()
}

/// A path relative to a document's folder, as one relative to the root.
fn beside(file: &str, path: &str) -> String {
    let mut names: Vec<&str> = file.split('/').collect();
    names.pop();
    for name in path.split('/') {
        match name {
            "." | "" => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let headings = prose(text).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len() && heading.starts_with(' ')).then(|| heading.trim())
    });
    for heading in headings {
        let heading = heading.to_lowercase().replace(' ', "-");
        let is_kept = |letter: &char| letter.is_alphanumeric() || "-_".contains(*letter);
        let anchor: String = heading.chars().filter(is_kept).collect();
        let mut numbered = anchor.clone();
        for number in 1.. {
            if anchors.insert(numbered) {
                break;
            }
            numbered = format!("{anchor}-{number}");
        }
    }
    anchors
}

#[test]
fn every_link_and_every_path_in_the_documents_leads_somewhere() {
    let repository = Repository::read();
    let documents = repository.documents();
    let problems: Vec<String> = documents
        .flat_map(|(file, text)| repository.problems(file, &text))
        .collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn what_leads_nowhere_is_named_with_file_and_line() {
    let text = "# One\n[a](b.md) [c](#one) [d](#two)\n\n    [e](f.md)\n`src/main.rs` and `src/nowhere.rs`, \
                `deploy/*.conf`, `deploy/*.toml`, `text/html`, `nowhere.rs`\n[g](../README.md) [h](https://example.com)\n";
    assert_eq!(
        Repository::read().problems("docs/made-up.md", text),
        [
            "docs/made-up.md:2: the link b.md leads to no file",
            "docs/made-up.md:2: the link #two leads to no heading",
            "docs/made-up.md:5: there is no src/nowhere.rs",
            "docs/made-up.md:5: there is no deploy/*.toml",
            "docs/made-up.md:5: there is no nowhere.rs",
        ]
    );
    assert_eq!(
        Repository::read().problems("SECURITY.md", "`src/main.rs`, `main.rs`, `test_kill.py`"),
        [
            "SECURITY.md:1: main.rs is named without its folder",
            "SECURITY.md:1: test_kill.py is named without its folder",
        ]
    );
}

#[test]
fn the_configuration_lists_the_variables_that_the_program_reads() {
    let repository = Repository::read();
    let variables = watchtower_sidecar::config::VARIABLES.iter();
    let read: BTreeSet<&str> = variables.map(|variable| variable.name).collect();
    let document = repository.text("docs/configuration.md");
    let rows = document.lines().filter_map(|row| row.strip_prefix("| `"));
    let listed: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(listed, read);
}

#[test]
fn the_architecture_lists_the_rooms_in_the_order_of_the_library() {
    let repository = Repository::read();
    let library = repository.text("src/lib.rs");
    let entries = library
        .lines()
        .filter_map(|line| line.strip_prefix("//! * "));
    let names = entries.filter_map(|entry| entry.split('`').nth(1));
    let mut rooms: Vec<String> = Vec::new();
    for name in names.map(|name| format!("src/{}.rs", name.replace("::", "/"))) {
        if !rooms.contains(&name) {
            rooms.push(name);
        }
    }
    let document = repository.text("docs/architecture.md");
    // A row's first cell names its rooms.
    let rows = document.lines().filter(|line| line.starts_with("| `src/"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let files = cells.flat_map(|cell| code_spans(cell).1);
    let listed: Vec<&str> = files.filter(|file| file.ends_with(".rs")).collect();
    // The rooms of the database have a table of their own.
    rooms.sort_by_key(|room| room.starts_with("src/db/"));
    assert_eq!(listed, rooms);
}
