//! The arrows of the layout that Cargo cannot enforce: `src → actors → domain`, `src → wechat`, `src/api` and
//! `src/postgres` never name each other, the load harness names nobody. And no modules import each other in a circle.

#![allow(clippy::unwrap_used)]

#[path = "architecture/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Import, imports};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a directory, with its text without comments.
fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), code(&path)));
            }
        }
    }
    assert!(!found.is_empty(), "{dir} has sources");
    found
}

fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn assert_never_names(dir: &str, words: &[&str]) {
    for (path, code) in sources(dir) {
        for word in words {
            assert!(!code.contains(word), "{} names {word}", path.display());
        }
    }
}

fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let table: toml::Table = text.parse().unwrap();
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| table.get(*section)?.as_table())
        .flat_map(|section| section.keys().cloned())
        .collect()
}

#[test]
fn http_and_postgres_never_name_each_other() {
    assert_never_names("src/api", &["crate::postgres", "tokio_postgres", "deadpool"]);
    assert_never_names("src/postgres", &["crate::api", "actix_web"]);
}

/// They share the frame and the views, which know none of them.
#[test]
fn no_audience_of_the_interface_knows_another() {
    let audiences = ["traveller", "gate", "admin", "callbacks", "operations"];
    for dir in audiences.into_iter().chain(["frame", "views"]) {
        for other in audiences.into_iter().filter(|other| *other != dir) {
            assert_never_names(
                &format!("src/api/{dir}"),
                &[&format!("crate::api::{other}"), &format!("super::{other}")],
            );
        }
    }
    assert_never_names("src/api/frame", &["crate::api::views", "super::views"]);
}

#[test]
fn only_the_composition_root_knows_everyone() {
    for dir in ["src/api", "src/postgres", "src/embedded", "src/import"] {
        assert_never_names(dir, &["crate::startup", "crate::cli"]);
    }
}

#[test]
fn the_crates_depend_only_downwards() {
    let ours = |manifest| {
        let mut names = dependencies(manifest);
        names.retain(|name| name.starts_with("deeptravel"));
        names
    };
    assert_eq!(ours("domain/Cargo.toml"), Vec::<String>::new());
    assert_eq!(ours("actors/Cargo.toml"), ["deeptravel-domain"]);
    assert_eq!(ours("wechat/Cargo.toml"), Vec::<String>::new());
    assert_eq!(ours("loadtest/Cargo.toml"), Vec::<String>::new());
}

#[test]
fn the_domain_is_pure() {
    let impure = ["tokio", "actix", "tracing", "reqwest", "uuid", "rand", "tokio-postgres"];
    for name in dependencies("domain/Cargo.toml") {
        assert!(!impure.contains(&name.as_str()), "domain depends on {name}");
    }
    assert_never_names(
        "domain/src",
        &["std::fs", "std::net", "std::env", "std::thread", "SystemTime", "Timestamp::now"],
    );
}

/// `Ticket::set_status` holds a ticket to its state table.
#[test]
fn r_ticket_05_a_tickets_status_is_set_in_one_place() {
    assert_never_names("domain/src", &["ticket.status = "]);
}

/// Whoever has an owner's turn, its actor or an asker, has it in one function. Orders also decide what no record is written
/// for, and what is born in another owner's record.
#[test]
fn rule_01_an_owner_decides_and_changes_in_one_function() {
    let found = |word: &str| -> BTreeMap<String, usize> {
        let places = sources("actors/src").into_iter().map(|(path, code)| {
            let path = path.strip_prefix(root().join("actors/src")).unwrap().to_str().unwrap().to_owned();
            (path, code.matches(word).count())
        });
        places.filter(|(path, times)| *times > 0 && !path.starts_with("tests")).collect()
    };
    let expected = |times: [usize; 3]| -> BTreeMap<String, usize> {
        ["kept.rs", "order/placing.rs", "order/steps.rs"].map(String::from).into_iter().zip(times).collect()
    };
    assert_eq!(found(".decide("), expected([1, 1, 1]));
    // Three ways to write in one function: for what needs no room, room that is estimated, and room that is known.
    assert_eq!(found(".apply(&events"), expected([3, 1, 1]));
    assert_eq!(found(".evolve("), BTreeMap::new());
}

/// Money that the simulator takes is nobody's, so production cannot have one.
#[test]
fn only_the_demo_starts_the_simulator() {
    let naming = |(path, code): (PathBuf, String)| code.contains("simulator").then_some(path);
    let found: Vec<PathBuf> = sources("src").into_iter().filter_map(naming).collect();
    assert_eq!(found, [root().join("src/startup/demo.rs")]);
}

#[test]
fn the_owners_know_neither_http_nor_sql() {
    let outside = ["actix-web", "tokio-postgres", "deadpool-postgres", "reqwest"];
    for name in dependencies("actors/Cargo.toml") {
        assert!(!outside.contains(&name.as_str()), "actors depends on {name}");
    }
}

/// Modules of a folder that import each other in circles: all that hang together, and why they may. An entry that says
/// more or less than there is fails.
struct Allowed {
    folder: &'static str,
    modules: &'static [&'static str],
    why: &'static str,
}

const ALLOWED: [Allowed; 1] = [Allowed {
    folder: "actors/src",
    modules: &["desk", "order"],
    why: "A desk places orders, and an order tells its desk what became of it.",
}];

/// A folder's modules are its files and its folders, each folder as a whole, and between these neighbours imports are
/// counted: `order/placing.rs` counts as `order` beside `desk`, and as `placing` beside `steps`. So a circle of files
/// shows in the folder that they share, and so does one that only the folders make.
///
/// A folder's own file (`lib.rs`, `mod.rs`) is nobody's neighbour there. It hands on its children's names, and a child
/// takes the type whose `impl` it holds a part of: that is one module in several files. A name that is handed on leads
/// to the child that defines it, so children do not hide a circle behind their parent's face.
#[test]
fn no_modules_import_each_other_in_circles() {
    let mut found = BTreeMap::new();
    for package in ["domain/src", "actors/src", "wechat/src", "loadtest/src", "src"] {
        for (folder, arrows) in arrows_by_folder(package) {
            for modules in circles(&arrows) {
                found.insert((folder.clone(), modules), arrows.clone());
            }
        }
    }
    let mut wrong = String::new();
    for Allowed { folder, modules, why } in ALLOWED {
        let modules: Vec<String> = modules.iter().map(|module| (*module).to_owned()).collect();
        if found.remove(&((*folder).to_owned(), modules)).is_none() {
            let _ = writeln!(wrong, "{folder}: not, or not exactly, the circle that is allowed: {why}");
        }
    }
    for ((folder, modules), arrows) in found {
        let _ = writeln!(wrong, "{folder}: {} import each other in circles:", modules.join(", "));
        for import in shortest_circle(&arrows, &modules) {
            let _ = writeln!(wrong, "    {import}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Which module imports which, with one import of those that do it.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

fn arrows_by_folder(package: &str) -> BTreeMap<String, Arrows> {
    let mut folders: BTreeMap<String, Arrows> = BTreeMap::new();
    for Import { from, to, name } in imports(&root().join(package).join("lib.rs")) {
        let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let (Some(taker), Some(giver)) = (from.get(shared), to.get(shared)) else { continue };
        let folder = [&[package.to_owned()], &from[..shared]].concat().join("/");
        let import = format!("{taker} → {giver}: {} takes {name}", from.join("/"));
        let kept =
            folders.entry(folder).or_default().entry(taker.clone()).or_default().entry(giver.clone()).or_default();
        // The longest way to write it says most.
        if import.len() > kept.len() {
            *kept = import;
        }
    }
    folders
}

/// Modules that reach each other, all that hang together in one list.
fn circles(arrows: &Arrows) -> BTreeSet<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|module| (module.as_str(), reached_from(arrows, module))).collect();
    let meet = |one: &str, other: &str| reached[one].contains(other) && reached[other].contains(one);
    let around =
        |module: &str| reached.keys().filter(|other| meet(module, other)).map(|name| (*name).to_owned()).collect();
    reached.keys().filter(|module| meet(module, module)).map(|module| around(module)).collect()
}

fn reached_from<'a>(arrows: &'a Arrows, start: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        let next = arrows.get(module).into_iter().flat_map(BTreeMap::keys);
        open.extend(next.map(String::as_str).filter(|next| reached.insert(*next)));
    }
    reached
}

/// The imports of the shortest way from one of the modules back to it.
fn shortest_circle<'a>(arrows: &'a Arrows, modules: &[String]) -> Vec<&'a str> {
    let circle = |start: &String| {
        let mut ways = VecDeque::from([(start.as_str(), Vec::new())]);
        let mut seen = BTreeSet::new();
        while let Some((module, way)) = ways.pop_front() {
            if module == start && !way.is_empty() {
                return way;
            }
            for (next, import) in arrows.get(module).into_iter().flatten() {
                if seen.insert(next) {
                    ways.push_back((next.as_str(), [&way[..], &[import.as_str()]].concat()));
                }
            }
        }
        unreachable!("{start} is in a circle")
    };
    modules.iter().map(circle).min_by_key(Vec::len).unwrap_or_default()
}
