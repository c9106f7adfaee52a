//! The order of the rooms: `src/lib.rs` lists them from the lowest to the highest, and no file imports from a room above its
//! own. The sources are read as text, so this needs no build of the program.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const LIST_BEGINS: &str = "//! From the lowest room to the highest:";

/// The rooms in the order of the list in the head of `lib.rs`; a nested room (`db::types`) comes before the one that holds it.
fn rooms(lib: &str) -> Vec<String> {
    let list = lib.lines().skip_while(|line| *line != LIST_BEGINS);
    let entries = list.filter_map(|line| line.strip_prefix("//! * "));
    let names = entries.filter_map(|entry| entry.split('`').nth(1));
    names.map(str::to_owned).collect()
}

/// The `.rs` files below `folder`, with their module paths: `src/db/types/time.rs` is `db::types::time`.
fn modules(folder: &Path, prefix: &str, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let module = format!("{prefix}{stem}");
        if path.is_dir() {
            modules(&path, &format!("{module}::"), found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let module = module.strip_suffix("::mod").unwrap_or(&module);
            found.push((module.to_owned(), path));
        }
    }
}

/// The innermost listed room of a module path, by its place in the list.
fn room(rooms: &[String], path: &str) -> Option<usize> {
    let is_in = |room: &str| {
        path.strip_prefix(room)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let found = rooms.iter().enumerate().filter(|(_, room)| is_in(room));
    found
        .max_by_key(|(_, room)| room.len())
        .map(|(place, _)| place)
}

/// The module paths that a file names after `crate::` or `super::`, with their lines, also within braces
/// (`crate::{a, b::c}`); and the modules that it declares and uses. Inline tests, at a file's end, may import anything.
fn imports(module: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let declared = code.iter().filter_map(|line| {
        let name = line.split("mod ").nth(1)?.strip_suffix(';')?;
        line.starts_with(['m', 'p']).then_some(name)
    });
    let declared: Vec<&str> = declared.collect();
    for (number, line) in code.iter().enumerate() {
        for child in &declared {
            let used = format!("{child}::");
            let start = line.find(&used);
            let before = start.and_then(|start| line[..start].chars().next_back());
            let is_whole = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | ':'));
            if start.is_some() && is_whole {
                found.push((number + 1, format!("{module}::{child}")));
            }
        }
        for (marker, is_crate) in [("crate::", true), ("super::", false)] {
            for (start, _) in line.match_indices(marker) {
                let before = line[..start].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
                    continue;
                }
                // `super::super::` climbs once for each.
                let mut rest = &line[start..];
                let mut base: Vec<&str> = module.split("::").collect();
                while let Some(after) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = after;
                }
                if is_crate {
                    base.clear();
                    rest = &rest["crate::".len()..];
                }
                let names = match rest.strip_prefix('{') {
                    Some(inner) => {
                        let inner = format!("{inner}{}", code[number + 1..].concat());
                        split_braces(&inner)
                    }
                    None => vec![path_of(rest)],
                };
                for name in names {
                    let mut path = base.join("::");
                    if !path.is_empty() && !name.is_empty() {
                        path.push_str("::");
                    }
                    path.push_str(&name);
                    found.push((number + 1, path));
                }
            }
        }
    }
    found
}

/// The first path in a text: `a::b::C, …` is `a::b::C`.
fn path_of(text: &str) -> String {
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    text[..end].trim_end_matches(':').to_owned()
}

/// The paths up to the closing brace, at its own depth.
fn split_braces(text: &str) -> Vec<String> {
    let mut depth = 1;
    let mut parts = vec![String::new()];
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match c {
            _ if depth == 0 => break,
            ',' if depth == 1 => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    let paths = parts.iter().map(|part| path_of(part.trim()));
    paths.filter(|path| !path.is_empty()).collect()
}

/// What is wrong with one file's imports, a line each.
fn violations(rooms: &[String], module: &str, file: &str, text: &str) -> String {
    let mut found = String::new();
    let Some(own) = room(rooms, module) else {
        return format!("{file}: `{module}` is in no room of the list in src/lib.rs\n");
    };
    for (line, import) in imports(module, text) {
        match room(rooms, &import) {
            Some(other)
                if other > own && !rooms[other].starts_with(&format!("{}::", rooms[own])) =>
            {
                let (own, other) = (&rooms[own], &rooms[other]);
                writeln!(
                    found,
                    "{file}:{line}: {own} -> {other}: `{import}` is in a higher room"
                )
                .unwrap();
            }
            _ => {}
        }
    }
    found
}

#[test]
fn no_room_imports_a_higher_one() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = rooms(&fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(rooms.len() > 20, "{rooms:?}");
    for (place, room) in rooms.iter().enumerate() {
        assert!(!rooms[..place].contains(room), "{room} is listed twice");
        let file = src.join(room.replace("::", "/")).with_extension("rs");
        assert!(file.is_file(), "there is no room {room}");
    }
    let mut files = Vec::new();
    modules(&src, "", &mut files);
    files.retain(|(module, _)| module != "lib" && module != "main");
    let found: String = files
        .iter()
        .map(|(module, path)| {
            let text = fs::read_to_string(path).unwrap();
            let file = path.strip_prefix(src.parent().unwrap()).unwrap();
            violations(&rooms, module, &file.to_string_lossy(), &text)
        })
        .collect();
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn files_of_one_room_import_each_other_in_one_direction() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    modules(&src, "", &mut files);
    files.retain(|(module, _)| module != "lib" && module != "main" && !module.ends_with("tests"));
    let names: Vec<String> = files.iter().map(|(module, _)| module.clone()).collect();
    let arrows: Vec<Vec<usize>> = files
        .iter()
        .map(|(module, path)| {
            let text = fs::read_to_string(path).unwrap();
            let imports = imports(module, &text);
            let targets = imports.iter().filter_map(|(_, path)| room(&names, path));
            targets.filter(|target| names[*target] != *module).collect()
        })
        .collect();
    let rings: Vec<String> = (0..names.len())
        .filter_map(|start| ring(start, &arrows))
        .map(|ring| {
            let ring: Vec<&str> = ring.iter().map(|file| names[*file].as_str()).collect();
            ring.join(" -> ")
        })
        .collect();
    assert!(rings.is_empty(), "\n{}", rings.join("\n"));
}

/// A shortest way from a file back to itself.
fn ring(start: usize, arrows: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut paths = vec![vec![start]];
    let mut seen = vec![false; arrows.len()];
    while let Some(path) = (!paths.is_empty()).then(|| paths.remove(0)) {
        for next in &arrows[*path.last().unwrap()] {
            let longer: Vec<usize> = path.iter().chain([next]).copied().collect();
            if *next == start {
                return Some(longer);
            }
            if !std::mem::replace(&mut seen[*next], true) {
                paths.push(longer);
            }
        }
    }
    None
}

#[test]
fn an_import_of_a_higher_room_is_found_with_its_file_and_line() {
    let rooms: Vec<String> = ["db::types", "db", "auth", "server"]
        .map(String::from)
        .to_vec();
    let check = |module, text| violations(&rooms, module, "file.rs", text);
    let higher = "file.rs:2: auth -> server: `server::start` is in a higher room\n";
    for text in [
        "use crate::db::Db;\nuse crate::server::start;\n",
        "\nuse crate::{db::{Db, User}, server::start};\n",
        "\nuse super::super::server::start;\n",
    ] {
        assert_eq!(check("auth::login", text), higher);
    }
    assert_eq!(
        check(
            "auth::login",
            "use super::helper;\nlet x = crate::db::now();"
        ),
        ""
    );
    assert!(check("db::types::time", "use super::super::Db;").contains("db::types -> db"));
    assert!(check("auth", "    super::server::start()").contains("auth -> server"));
    assert_eq!(check("auth", "// see crate::server\n"), "");
}
