//! Who imports whom inside a crate, read from its sources: from `lib.rs` along `mod` to every file, without what stands
//! under `#[cfg(test)]`. An import is a name that a file takes from another, by `use` or by a path in its code. It leads
//! to the file that defines the name, whoever hands the name on: `mod` and `pub use` import nothing.
//!
//! Not seen: a method that is called on a value, wherever it is written; globs outside of tests, of which we have none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest chain of files that hand a name on: more is a reader that goes round.
const HOPS_MAX: usize = 16;

/// A module's path below its crate: `["order", "rest"]`. That of `lib.rs` is empty.
pub type ModulePath = Vec<String>;

/// `from` takes `name` of `to`, and writes it so.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Import {
    pub from: ModulePath,
    pub to: ModulePath,
    pub name: String,
}

/// Every import of the crate whose `lib.rs` this is.
pub fn imports(root: &Path) -> BTreeSet<Import> {
    let mut modules = Vec::new();
    read(&mut modules, &[], 0, root);
    let mut found = BTreeSet::new();
    for (from, module) in modules.iter().enumerate() {
        for name in &module.named {
            if let Some(to) = definer(&modules, from, name, 0).filter(|to| *to != from) {
                let (from, to) = (module.path.clone(), modules[to].path.clone());
                found.insert(Import { from, to, name: name.join("::") });
            }
        }
    }
    found
}

/// A file. The modules of a crate stand in one list, the root first, and know each other by their places in it.
struct Module {
    path: ModulePath,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// What `use` and `pub use` say that a name stands for.
    bound: BTreeMap<String, Vec<String>>,
    /// What it names: by `use`, and by every path in its code.
    named: BTreeSet<Vec<String>>,
}

fn read(modules: &mut Vec<Module>, path: &[String], parent: usize, file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let words = without_tests(&words(&text));
    let own = modules.len();
    let (children, bound, named) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    modules.push(Module { path: path.to_vec(), parent, children, bound, named });
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let before = at.checked_sub(1).map_or("", |before| &words[before]);
        match (word.as_str(), words.get(at + 2).map(String::as_str)) {
            ("mod", Some(";")) => {
                let name = words[at + 1].clone();
                let path = [path, std::slice::from_ref(&name)].concat();
                let child = read(modules, &path, own, &file_of(file, &name));
                modules[own].children.insert(name, child);
                at += 3;
            }
            // Not the `use<>` of a type.
            ("use", _) if words[at + 1] != "<" => {
                let mut leaves = Vec::new();
                at = read_use(&words, at + 1, &[], &mut leaves);
                let hands_on = before == "pub" || before == ")";
                for (name, path) in leaves {
                    if !hands_on {
                        modules[own].named.insert(path.clone());
                    }
                    modules[own].bound.insert(name, path);
                }
            }
            _ if is_name(word) => {
                let path = path_at(&words, at);
                at += 2 * path.len() - 1;
                if !matches!(before, "::" | ".") {
                    modules[own].named.insert(path);
                }
            }
            _ => at += 1,
        }
    }
    own
}

fn file_of(parent: &Path, child: &str) -> PathBuf {
    let is_root = parent.ends_with("lib.rs") || parent.ends_with("mod.rs");
    let dir = if is_root { parent.parent().unwrap().to_path_buf() } else { parent.with_extension("") };
    let file = dir.join(child).with_extension("rs");
    if file.exists() { file } else { dir.join(child).join("mod.rs") }
}

/// The place of the file that defines what `from` names; `None` for what is not the crate's.
fn definer(modules: &[Module], from: usize, name: &[String], hops: usize) -> Option<usize> {
    assert!(hops < HOPS_MAX, "{} is handed on in a circle", name.join("::"));
    let (first, mut rest) = name.split_first()?;
    let mut at = match first.as_str() {
        "crate" => 0,
        "self" => from,
        "super" => modules[from].parent,
        first => match modules[from].children.get(first) {
            Some(child) => *child,
            None => return bound_to(modules, from, name, hops),
        },
    };
    while let Some((next, beyond)) = rest.split_first() {
        let module = &modules[at];
        at = match module.children.get(next) {
            Some(child) => *child,
            None if next == "super" => module.parent,
            // Defined here, or handed on from another crate.
            None => return bound_to(modules, at, rest, hops).or(Some(at)),
        };
        rest = beyond;
    }
    Some(at)
}

fn bound_to(modules: &[Module], at: usize, name: &[String], hops: usize) -> Option<usize> {
    let (first, rest) = name.split_first()?;
    // A crate of the name of what it is imported for: `use hex::{self, …}`.
    let target = modules[at].bound.get(first).filter(|target| target.first() != Some(first))?;
    definer(modules, at, &[target, rest].concat(), hops + 1)
}

/// Reads a tree of `use` from its first word to behind its end: names, and what they stand for.
fn read_use(words: &[String], start: usize, stem: &[String], leaves: &mut Vec<(String, Vec<String>)>) -> usize {
    let mut path = stem.to_vec();
    let (mut alias, mut branches) = (None, false);
    let mut at = start;
    loop {
        match words[at].as_str() {
            ";" | "," | "}" => break,
            "::" => {}
            "self" if !path.is_empty() => {}
            "as" => {
                at += 1;
                alias = Some(words[at].clone());
            }
            "{" => {
                branches = true;
                while words[at] != "}" {
                    at = read_use(words, at + 1, &path, leaves);
                }
            }
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    if let (false, true, Some(last)) = (branches, at > start, path.last()) {
        leaves.push((alias.unwrap_or_else(|| last.clone()), path));
    }
    at
}

fn path_at(words: &[String], at: usize) -> Vec<String> {
    let mut path = vec![words[at].clone()];
    let mut rest = &words[at + 1..];
    while let [colons, name, beyond @ ..] = rest
        && colons == "::"
        && is_name(name)
    {
        path.push(name.clone());
        rest = beyond;
    }
    path
}

/// Leaves out what stands under `#[cfg(test)]`.
fn without_tests(words: &[String]) -> Vec<String> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let is_test = words.len() > at + mark.len() && mark.iter().zip(&words[at..]).all(|(mark, word)| mark == word);
        if is_test {
            at = item_end(words, at + mark.len());
        } else {
            kept.push(words[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind an item, a statement or a field.
fn item_end(words: &[String], mut at: usize) -> usize {
    let (mut depth, mut angles) = (0, 0);
    loop {
        match words[at].as_str() {
            "(" | "[" | "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            ")" | "]" | "}" => depth -= 1,
            "<" => angles += 1,
            ">" if !matches!(words[at - 1].as_str(), "-" | "=") => angles -= 1,
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && angles == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
}

/// Names, numbers, `::` and single signs, without comments and literals. A string that is a path counts as one, because
/// attributes name functions so.
fn words(text: &str) -> Vec<String> {
    let is_inner = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (len, keeps) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), false)
        } else if let Some(len) = raw_string(rest) {
            (len, false)
        } else if first == '"' {
            let len = escaped(rest, '"');
            let path = rest[..len].trim_matches('"');
            if path.contains("::") && path.split("::").all(|name| !name.is_empty() && name.chars().all(is_inner)) {
                words.extend(self::words(path));
            }
            (len, false)
        } else if first == '\'' {
            (character(rest), false)
        } else if is_inner(first) {
            (rest.find(|c| !is_inner(c)).unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (word, beyond) = rest.split_at(len);
        if keeps {
            words.push(word.to_owned());
        }
        rest = beyond;
    }
    words
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Length of a literal that ends with `end`.
fn escaped(text: &str, end: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == end {
            return at + end.len_utf8();
        }
        if c == '\\' {
            chars.next();
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let marks = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let body = marks.trim_start_matches('#');
    let end = format!("\"{}", &marks[..marks.len() - body.len()]);
    let body = body.strip_prefix('"')?;
    Some(text.len() - body.len() + body.find(&end)? + end.len())
}

/// Length of a character, or of a lifetime's sign.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => escaped(text, '\''),
        _ => 1,
    }
}

#[test]
fn a_name_leads_to_the_file_that_defines_it_and_tests_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write("lib.rs", "mod a; pub mod b; mod c;");
    write(
        "a.rs",
        r#"use crate::{b::{self, Of as _}, c}; // crate::c::InAComment
        #[serde(with = "crate::c::Named")] struct A<'a>(char, &'a str);
        fn a() { b::Through::new("crate::c is not a path", '"', r"crate::c::Raw"); c::deep::Deep; value.c::<u8>() }
        #[cfg(test)] use crate::c::InATest;
        #[cfg(test)] mod tests { use crate::c::InTests; }"#,
    );
    write("b/mod.rs", "mod inner; #[cfg(test)] mod tests; pub use inner::{Of, Through};");
    write("b/inner.rs", "use super::super::c::Up; pub(in crate::b) struct Through; pub trait Of {}");
    write("c.rs", "pub mod deep;");
    write("c/deep.rs", "pub struct Deep;");

    let found = imports(&dir.path().join("lib.rs"));
    let arrow = |import: Import| format!("{} -> {}: {}", import.from.join("/"), import.to.join("/"), import.name);
    let found: Vec<String> = found.into_iter().map(arrow).collect();
    assert_eq!(
        found,
        [
            "a -> b: crate::b",
            "a -> b/inner: b::Through::new",
            "a -> b/inner: crate::b::Of",
            "a -> c: crate::c",
            "a -> c: crate::c::Named",
            "a -> c/deep: c::deep::Deep",
            "b/inner -> b: crate::b",
            "b/inner -> c: super::super::c::Up",
        ]
    );
}
