//! The case files that come with the policies are read.

use std::path::Path;

use spiderpool_ctl::cases::{self, CaseFile};

const FOLDERS: [&str; 5] = [
    "policies/affinity/cases",
    "policies/allocation/cases",
    "policies/validation/cases",
    "policies/retention/cases",
    "policies/examples/rack-and-octet/cases",
];

#[test]
fn every_case_file_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in FOLDERS {
        let files = cases::load(&root.join(folder)).unwrap_or_else(|error| panic!("{error}"));
        assert!(files.iter().all(|file| !file.cases.is_empty()), "{folder}");
    }
}

#[test]
fn a_folder_without_case_files_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = cases::load(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("there are no case files (*.yaml) in this folder"), "{error}");
    let error = cases::load(&folder.path().join("absent")).unwrap_err().to_string();
    assert!(error.contains("absent: No such file"), "{error}");
}

#[test]
fn the_case_file_of_the_guide_is_read() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policies.md");
    let text = std::fs::read_to_string(&guide).unwrap();
    let (_, example) = text.split_once("```yaml\n# policies/examples/tenant/cases").expect("the guide has an example");
    let (example, _) = example.split_once("```").expect("the example ends");
    let file = CaseFile::parse(&guide, &format!("#{example}")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(file.cases.len(), 3);
}
