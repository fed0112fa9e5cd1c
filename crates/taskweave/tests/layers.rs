//! The layers: which crate may know which, the features, the lints, and what library code never does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

const FEATURES: [&str; 5] = ["cuda", "cudnn", "metal", "mkl", "accelerate"];

/// The crates of each layer may depend on those to the right, in tests too.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("taskweave-kernels", &[]),
    ("taskweave-heads", &["taskweave-kernels"]),
    ("taskweave-loss", &["taskweave-kernels"]),
    ("taskweave-data", &["taskweave-kernels"]),
    ("taskweave-cotrain", &["taskweave-data", "taskweave-heads", "taskweave-kernels", "taskweave-loss"]),
    (
        "taskweave",
        &["taskweave-cotrain", "taskweave-data", "taskweave-heads", "taskweave-kernels", "taskweave-loss"],
    ),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

fn table(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The manifests of all crates by package name.
fn manifests() -> BTreeMap<String, Table> {
    let folders = fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap().path());
    let manifests = folders.map(|folder| table(&folder.join("Cargo.toml")));
    manifests.map(|manifest| (manifest["package"]["name"].as_str().unwrap().into(), manifest)).collect()
}

/// What a manifest declares as dependencies, for tests, for building and for single targets too.
fn dependencies(manifest: &Table) -> Vec<(&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let sections = targets.filter_map(Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    sections
        .flat_map(|section| kinds.map(|kind| section.get(kind).and_then(Value::as_table)))
        .flatten()
        .flatten()
        .collect()
}

/// The package behind a dependency, whatever it is called here or in the workspace.
fn package<'a>(name: &'a str, value: &'a Value, workspace: &'a Table) -> &'a str {
    let inherited = workspace["workspace"]["dependencies"].get(name);
    let renamed = |value: &'a Value| value.get("package").and_then(Value::as_str);
    renamed(value).or_else(|| inherited.and_then(renamed)).unwrap_or(name)
}

#[test]
fn every_crate_depends_on_the_layers_below_it_only() {
    let workspace = table(&crates().join("../Cargo.toml"));
    let manifests = manifests();
    let allowed = BTreeMap::from(ALLOWED);
    assert!(manifests.keys().eq(allowed.keys()), "the crates are {:?}", manifests.keys());
    for (name, manifest) in &manifests {
        for (dependency, value) in dependencies(manifest) {
            let dependency = package(dependency, value, &workspace);
            let ours = dependency.starts_with("taskweave");
            assert!(!ours || allowed[name.as_str()].contains(&dependency), "{name} depends on {dependency}");
        }
    }
}

#[test]
fn features_are_those_of_devices_and_none_is_on() {
    for (name, manifest) in manifests() {
        let features = manifest["features"].as_table().unwrap();
        let found: BTreeSet<&str> = features.keys().map(String::as_str).collect();
        assert_eq!(found, FEATURES.into_iter().chain(["default"]).collect(), "features of {name}");
        assert_eq!(features["default"].as_array().map(Vec::len), Some(0), "default features of {name}");
        // An optional dependency is a feature under another name.
        let optional = dependencies(&manifest).into_iter().find(|(_, value)| value.get("optional").is_some());
        assert!(optional.is_none(), "{name} has an optional dependency: {optional:?}");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for (name, manifest) in manifests() {
        let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherited.and_then(Value::as_bool), Some(true), "lints of {name}");
    }
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The `src` folders of all crates.
fn libraries() -> Vec<PathBuf> {
    let libraries: Vec<_> = fs::read_dir(crates()).unwrap().map(|e| e.unwrap().path().join("src")).collect();
    assert_eq!(libraries.len(), ALLOWED.len());
    libraries
}

/// The lines of a file that are neither comments nor compiled for tests only, and the files that it includes
/// for tests only. An item ends at the first line of its own indentation that closes a brace: `rustfmt` sees to
/// that.
fn code(path: &Path) -> (Vec<String>, Vec<PathBuf>) {
    let text = fs::read_to_string(path).unwrap();
    let (mut code, mut test_files) = (Vec::new(), Vec::new());
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push(line.to_string());
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let item = lines.next().unwrap();
        match item.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            Some(module) => test_files.push(folder_of_modules(path).join(module).with_extension("rs")),
            None if item.ends_with('{') => {
                lines.by_ref().find(|line| *line == format!("{indent}}}"));
            }
            None => {}
        }
    }
    (code, test_files)
}

/// Where the modules that a file declares lie.
fn folder_of_modules(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap();
    if stem == "mod" || stem == "lib" { path.parent().unwrap().into() } else { path.with_extension("") }
}

#[test]
fn library_code_neither_prints_nor_reads_the_environment() {
    let files: Vec<PathBuf> = libraries().iter().flat_map(|library| sources(library)).collect();
    let parsed: Vec<_> = files.iter().map(|file| (file, code(file))).collect();
    let test_files: BTreeSet<&PathBuf> = parsed.iter().flat_map(|(_, (_, test_files))| test_files).collect();
    assert!(test_files.iter().all(|file| file.exists()), "test modules are {test_files:?}");
    for (file, (code, _)) in parsed.iter().filter(|(file, _)| !test_files.contains(file)) {
        for line in code {
            // `print!` covers `eprint!`, and `println!` covers `eprintln!`.
            let found =
                ["println!", "print!", "dbg!", "env::var"].into_iter().find(|&word| line.contains(word));
            assert_eq!(found, None, "{}: {line}", file.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_the_kernels_only() {
    let kernels = crates().join("kernels/src");
    let occurs = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        // With the hyphen in the word, a content policy's `unsafe-inline` is another word.
        code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-'))
            .any(|word| word == "unsafe" || word == "unsafe_code")
    };
    let found: Vec<PathBuf> = libraries().iter().flat_map(|src| sources(src)).filter(occurs).collect();
    assert!(found.iter().any(|file| file.starts_with(&kernels)), "the search finds what is there");
    assert!(found.iter().all(|file| file.starts_with(&kernels)), "{found:?}");
}
