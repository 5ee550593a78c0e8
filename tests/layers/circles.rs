//! What the top modules of a crate import of each other, read from their source.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::Path,
};

/// For each top module of a crate, the others that it imports. `lib.rs` and `main.rs` wire everything and are left out,
/// and so are tests.
pub(crate) fn imports(sources: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(sources).expect("the sources of a crate") {
        let path = entry.expect("a file of it").path();
        let name = path.file_stem().and_then(OsStr::to_str).expect("a plain name").to_owned();
        if !["lib", "main"].contains(&&*name) {
            read(&path, path.is_file(), all.entry(name.clone()).or_default());
        }
    }
    let modules: BTreeSet<String> = all.keys().cloned().collect();
    for (name, imported) in &mut all {
        imported.retain(|other| other != name && modules.contains(other));
    }
    all
}

/// Modules that reach each other, each circle once.
pub(crate) fn of(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|from| (&**from, reach(imports, from))).collect();
    let circle = |from: &str| -> BTreeSet<String> {
        let back = reached[from].iter().filter(|other| reached[**other].contains(from));
        back.map(|other| (*other).to_owned()).collect()
    };
    imports.keys().map(|from| circle(from)).filter(|circle| !circle.is_empty()).collect()
}

fn reach<'a>(imports: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = imports[from].iter().map(|name| &**name).collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(imports[name].iter().map(|name| &**name));
        }
    }
    reached
}

fn read(path: &Path, is_top: bool, imported: &mut BTreeSet<String>) {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            read(&entry.expect("a file of it").path(), false, imported);
        }
        return;
    }
    let code = code(&fs::read_to_string(path).expect("a source"));
    for root in ["crate::", "super::"] {
        // `super` is the root of the crate in its top modules only.
        if root == "crate::" || is_top {
            imported.extend(code.split(root).skip(1).flat_map(heads));
        }
    }
}

/// A source without comments and without the tests inside it.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The first names of what follows `crate::`: `a::b` has one, `{a::b, c::{d, e}}` has `a` and `c`.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(list) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut depth = 0_i32;
    let mut all = vec![String::new()];
    for c in list.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (depth, c) {
            (..0, _) => break,
            (0, ',') => all.push(String::new()),
            _ => all.last_mut().expect("one to begin with").push(c),
        }
    }
    all.iter().map(|one| name(one)).collect()
}

#[test]
fn a_circle_is_found_over_several_modules_and_a_name_in_a_comment_is_no_import() {
    let folder = std::env::temp_dir().join(format!("circles-{}", std::process::id()));
    fs::create_dir_all(folder.join("b")).unwrap();
    for (file, text) in [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::{c::{D, E}, b::F};"),
        ("b.rs", "// crate::d\n#[cfg(test)]\nmod tests { use crate::d::X; }"),
        ("b/inner.rs", "use super::d;\nfn f() { crate::c::g() }"),
        ("c.rs", "use super::a::G;"),
        ("d.rs", "use crate::a;"),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let found = of(&imports(&folder));
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found, [["a".to_owned(), "b".to_owned(), "c".to_owned()].into()].into());
}
