use super::*;

#[test]
fn dependencies_are_read_from_the_listing_of_apt() {
    let listing = "rustc-web\n  Depends: libc6\n  PreDepends: libgcc-s1\n  Depends: <libc-dev>\n    libc6-dev\n \
                   |Depends: one\n  Conflicts: rustc\n  Recommends: cargo-web\n";
    assert_eq!(parse_dependencies(listing), ["libc6", "libgcc-s1"]);
}

#[test]
fn the_download_is_the_compiler_its_sources_and_missing_libraries() {
    let graph = |package: &str| {
        let below: &[&str] = match package {
            "rustc-web" => &["libc6", "libstd-rust-web-dev", "gcc", "libc6-dev"],
            "libstd-rust-web-dev" => &["libstd-rust-web-1.96"],
            "libstd-rust-web-1.96" => &["libllvm22", "libstdc++6"],
            "libllvm22" => &["libz3-4", "libc6", "libstd-rust-web-1.96"],
            _ => &[],
        };
        Ok(below.iter().map(ToString::to_string).collect())
    };
    let found = closure(graph, |package| ["libc6", "libstdc++6"].contains(&package)).expect("a closure");
    let expected = ["libllvm22", "libstd-rust-web-1.96", "libstd-rust-web-dev", "libz3-4", "rust-web-src", "rustc-web"];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
