use super::super::Weight;
use super::*;

fn rules(check: impl FnOnce(&mut Vec<Finding>)) -> Vec<(usize, &'static str)> {
    let mut findings = Vec::new();
    check(&mut findings);
    findings.iter().map(|finding| (finding.line, finding.rule)).collect()
}

#[test]
fn binary_and_big_files_are_found() {
    let cases = [
        (File::new("logo.png", vec![0x89, b'P', 0, 0xff]), vec![(1, "binary")]),
        (File::new("nul.txt", b"a\0b".to_vec()), vec![(1, "binary")]),
        (File::new("dump.json", vec![b' '; MAX_BYTES + 1]), vec![(1, "size")]),
        (File::new("fits.json", vec![b' '; MAX_BYTES]), vec![]),
        (File::new("Cargo.lock", vec![b' '; MAX_BYTES + 1]), vec![]),
    ];
    for (file, expected) in cases {
        assert_eq!(rules(|findings| check_bulk(&file, findings)), expected, "{}", file.path);
    }
}

#[test]
fn long_files_are_warned_of_and_then_refused() {
    for (lines, weight) in
        [(300, None), (301, Some(Weight::Warning)), (500, Some(Weight::Warning)), (501, Some(Weight::Error))]
    {
        let mut findings = Vec::new();
        check_length("a.rs", &"\n".repeat(lines), &mut findings);
        assert_eq!(findings.first().map(|finding| finding.weight), weight, "{lines} lines");
    }
}

#[test]
fn paths_of_one_machine_are_found_and_other_paths_are_not() {
    let [root, work, home] = MACHINE_FOLDERS;
    let found = [format!("see {root}notes"), format!("\"{work}main\""), format!("cd {home}ann/src")];
    let clean = [
        format!("${{cache}}{root}usr"),
        format!("https://example.com{work}flow"),
        format!("{root} is a folder"),
        format!("a folder below {home}"),
        "work/main".to_owned(),
    ];
    for line in found {
        assert_eq!(rules(|findings| check_text("a.md", &format!("\n{line}\n"), findings)), [(2, "machine")], "{line}");
    }
    for line in clean {
        assert_eq!(rules(|findings| check_text("a.md", &line, findings)), [], "{line}");
    }
}

#[test]
fn hosts_of_registries_are_found() {
    for host in REGISTRY_HOSTS {
        assert_eq!(rules(|findings| check_text("a.md", &format!("https://{host}/x"), findings)), [(1, "registry")]);
    }
}

#[test]
fn a_lock_file_names_the_public_registry_alone() {
    let mirror = PUBLIC_REGISTRY.replace("rust-lang", "somebody");
    let lock = format!("{PUBLIC_REGISTRY}\n{mirror}\n");
    assert_eq!(rules(|findings| check_text("Cargo.lock", &lock, findings)), [(2, "registry")]);
}
