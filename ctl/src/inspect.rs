//! `policy inspect`: what a component is, read from its bytes without running it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use spiderpool_runtime::{Inspection, Interface, inspect};

use crate::Outcome;
use crate::output::{self, Format};

/// What a component exports and imports, and whether it could be a policy.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  spiderpoolctl policy inspect target/policies/rack-and-octet.wasm
  spiderpoolctl policy inspect my.wasm -o json | jq -r .digest    for spec.digest of a SpiderPolicy

Exit code 1 when an agent of this version would refuse it. Whether it takes its settings shows in `policy test`.")]
pub(crate) struct Args {
    /// The component.
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
}

pub(crate) fn run(args: &Args, format: Format) -> Result<Outcome> {
    let inspection = inspect(&args.file).with_context(|| format!("{} is no policy", args.file.display()))?;
    output::answer(format, &inspection, || text(&args.file, &inspection))?;
    Ok(if inspection.problem.is_none() { Outcome::Done } else { Outcome::Refused })
}

fn text(file: &Path, inspection: &Inspection) -> String {
    let Inspection { digest, size, contract_version, exports, imports, problem } = inspection;
    let mut text = format!("{}\n", file.display());
    let mut row = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<9} {value}");
    };
    row("digest", digest);
    row("size", &format!("{size} bytes"));
    let contract = contract_version.as_deref().unwrap_or("none");
    row("contract", &format!("{contract} (served: {})", spiderpool_runtime::SERVED));
    for (label, interfaces) in [("exports", exports), ("imports", imports)] {
        if interfaces.is_empty() {
            row(label, "nothing");
        }
        for (place, interface) in interfaces.iter().enumerate() {
            row(if place == 0 { label } else { "" }, &interface_text(interface));
        }
    }
    match problem {
        None => text.push_str("An agent of this version takes it.\n"),
        Some(problem) => text += &format!("An agent of this version refuses it: {problem}\n"),
    }
    text
}

fn interface_text(Interface { name, functions }: &Interface) -> String {
    if functions.is_empty() { name.clone() } else { format!("{name}: {}", functions.join(", ")) }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn interface(name: &str, function: &str) -> Interface {
        Interface { name: name.to_owned(), functions: vec![function.to_owned()] }
    }

    #[test]
    fn a_policy_is_told_in_rows() {
        let inspection = Inspection {
            digest: format!("sha256:{}", "ab".repeat(32)),
            size: 123_456,
            contract_version: Some("0.1.0".to_owned()),
            exports: vec![
                interface("spiderpool:policy/affinity@0.1.0", "judge"),
                interface("spiderpool:policy/settings@0.1.0", "check"),
            ],
            imports: Vec::new(),
            problem: None,
        };
        expect![[r#"
            rack.wasm
              digest    sha256:abababababababababababababababababababababababababababababababab
              size      123456 bytes
              contract  0.1.0 (served: spiderpool:policy@0.1)
              exports   spiderpool:policy/affinity@0.1.0: judge
                        spiderpool:policy/settings@0.1.0: check
              imports   nothing
            An agent of this version takes it.
        "#]]
        .assert_eq(&text(Path::new("rack.wasm"), &inspection));
        let wants_files = Inspection {
            contract_version: None,
            exports: Vec::new(),
            imports: vec![interface("wasi:filesystem/types@0.2.0", "[method]descriptor.read")],
            problem: Some("it imports wasi:filesystem/types@0.2.0".to_owned()),
            ..inspection
        };
        expect![[r#"
            rack.wasm
              digest    sha256:abababababababababababababababababababababababababababababababab
              size      123456 bytes
              contract  none (served: spiderpool:policy@0.1)
              exports   nothing
              imports   wasi:filesystem/types@0.2.0: [method]descriptor.read
            An agent of this version refuses it: it imports wasi:filesystem/types@0.2.0
        "#]]
        .assert_eq(&text(Path::new("rack.wasm"), &wants_files));
    }
}
