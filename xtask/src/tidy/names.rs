//! Names that say nothing: a drawer with such a label collects what belongs elsewhere.

use std::path::Path;

use super::Finding;
use super::syntax::Syntax;

const RULE: &str = "names";
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "manager", "util", "utils"];
const REMEDY: &str = "name it for what it is about, or move its parts to where they are used";

pub(crate) fn check_path(path: &str, findings: &mut Vec<Finding>) {
    let parts = Path::new(path).components().map(|part| part.as_os_str().to_string_lossy());
    for part in parts {
        let stem = part.split('.').next().unwrap_or_default();
        if EMPTY_NAMES.contains(&stem) {
            findings.push(Finding::error(path, 1, RULE, format!("`{part}` says nothing about what is inside"), REMEDY));
        }
    }
}

/// Modules inside a file; those with a file of their own are found by its path.
pub(crate) fn check_modules(path: &str, syntax: &Syntax, findings: &mut Vec<Finding>) {
    for module in syntax.inline_modules.iter().filter(|module| EMPTY_NAMES.contains(&module.name.as_str())) {
        let problem = format!("the module `{}` says nothing about what is inside", module.name);
        findings.push(Finding::error(path, module.line, RULE, problem, REMEDY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found_in_folders_files_and_modules() {
        let cases = [
            ("agent/src/utils.rs", 1),
            ("agent/src/utils/mod.rs", 1),
            ("tests/common/mod.rs", 1),
            ("demo/helpers.sh", 1),
            ("agent/src/resource_manager.rs", 0),
            ("agent/src/commonality.rs", 0),
        ];
        for (path, expected) in cases {
            let mut findings = Vec::new();
            check_path(path, &mut findings);
            assert_eq!(findings.len(), expected, "{path}");
        }

        let mut findings = Vec::new();
        let syntax = Syntax::read("mod pools {\n    mod helpers { fn f() {} }\n}\n").expect("it is Rust");
        check_modules("a.rs", &syntax, &mut findings);
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
    }
}
