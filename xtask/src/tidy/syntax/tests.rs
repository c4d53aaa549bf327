use super::*;

fn rules(text: &str) -> Vec<(usize, &'static str)> {
    let mut findings = Vec::new();
    check("a.rs", &Syntax::read(text).expect("it is Rust"), &mut findings);
    findings.iter().map(|finding| (finding.line, finding.rule)).collect()
}

/// Written with other words, so that who searches this repository for such places finds none here.
const WORDS: [(&str, &str); 3] =
    [("OFF", concat!("ign", "ore")), ("LATER", concat!("to", "do")), ("NEVER", concat!("unimple", "mented"))];

#[test]
fn code_that_is_off_unfinished_or_excused_is_found() {
    let cases: [(&str, &[(usize, &str)]); 12] = [
        ("#[test]\n#[OFF]\nfn f() {}", &[(2, "ignored")]),
        ("#[OFF = \"slow\"]\nfn f() {}", &[(1, "ignored")]),
        ("#[cfg_attr(unix, OFF)]\nfn f() {}", &[(1, "ignored")]),
        ("proptest! {\n    #[OFF]\n    fn f() {}\n}", &[(2, "ignored")]),
        ("/// ```OFF\n/// f();\n/// ```\nfn f() {}", &[(1, "ignored")]),
        ("fn f() {\n    LATER!()\n}", &[(2, "unfinished")]),
        ("fn f() { std::NEVER!(\"later\") }", &[(1, "unfinished")]),
        ("#![allow(dead_code)]", &[(1, "reason")]),
        ("#[allow(dead_code, reason = \"why\")]\nfn f() {}", &[]),
        ("#[expect(dead_code, reason = \"why\")]\nfn f() {}", &[]),
        ("// #[OFF] LATER!()\nfn f() { g(\"#[OFF] LATER!()\") }", &[]),
        ("/// ```text\n/// OFF this\n/// ```\nfn f(LATER: bool) -> bool { !LATER }", &[]),
    ];
    for (text, expected) in cases {
        let text = WORDS.iter().fold(text.to_owned(), |text, (stand_in, word)| text.replace(stand_in, word));
        assert_eq!(rules(&text), expected, "{text}");
    }
}

#[test]
fn modules_of_other_files_are_seen_with_their_surroundings() {
    let syntax = Syntax::read(
        "mod a;\n#[cfg(test)]\nmod b { pub mod c; }\n#[path = \"elsewhere.rs\"]\npub(crate) mod d;\nmod e;\n\
         fn f() { include!(\"made.rs\") }",
    )
    .expect("it is Rust");
    let module = |path: &[&str], file: Option<&str>| FileModule {
        path: path.iter().map(ToString::to_string).collect(),
        file: file.map(str::to_owned),
    };
    assert_eq!(
        syntax.file_modules,
        [module(&["a"], None), module(&["b", "c"], None), module(&["d"], Some("elsewhere.rs")), module(&["e"], None)]
    );
    assert_eq!(syntax.includes, ["made.rs"]);
}

#[test]
fn what_is_not_rust_is_told_with_its_line() {
    assert_eq!(Syntax::read("fn f() {\n    )\n}").map(|_| ()), Err(2));
}
