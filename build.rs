//! Migrations are embedded by a macro that does not tell Cargo which files it read, and statements as one list, so that a new
//! file is named nowhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=sql");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where the package is"));
    let mut list = String::from("&[\n");
    for folder in ["project", "load", "list"] {
        let path = root.join("sql/queries").join(folder);
        let files = fs::read_dir(&path).expect("the folder of statements can be read");
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file can be seen").path()).collect();
        files.sort();
        for file in files {
            let name = file.file_stem().and_then(|name| name.to_str()).expect("a file has a name");
            // Where the checkout stands is asked when the list is compiled: a target directory may serve several.
            let text = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/sql/queries/{folder}/{name}.sql\")");
            writeln!(list, "    (\"{folder}/{name}\", include_str!({text})),").expect("memory takes it");
        }
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo says where to write"));
    fs::write(Path::new(&out).join("statements.rs"), list).expect("the list can be written");
}
