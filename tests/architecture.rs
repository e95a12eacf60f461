//! The arrows of the layout that Cargo cannot enforce: `src → actors → domain`, `src → wechat`, `src/api` and
//! `src/postgres` never name each other, the load harness names nobody.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

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
