//! Manifests for tests, in a line each.

use std::fmt::Write as _;

/// A SpiderIPPool. `ips` is one range; `more` are further lines of the spec, such as `default: true`.
#[must_use]
pub fn pool(name: &str, subnet: &str, ips: &str, more: &[&str]) -> String {
    let mut text = format!(
        "---\napiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderIPPool\nmetadata:\n  name: {name}\nspec:\n  \
         subnet: {subnet}\n  ips: [\"{ips}\"]\n"
    );
    for line in more {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// A Pod with annotations.
#[must_use]
pub fn pod(namespace: &str, name: &str, uid: &str, annotations: &[(&str, &str)]) -> String {
    let mut text = format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  uid: {uid}\n  annotations:\n"
    );
    for (key, value) in annotations {
        let _ = writeln!(text, "    {key}: '{value}'");
    }
    text + "    spiderpool.test/pod: \"true\"\n"
}

/// A Namespace with annotations.
#[must_use]
pub fn namespace(name: &str, annotations: &[(&str, &str)]) -> String {
    let mut text = format!("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  annotations:\n");
    for (key, value) in annotations {
        let _ = writeln!(text, "    {key}: '{value}'");
    }
    text + "    spiderpool.test/namespace: \"true\"\n"
}

/// An object of a core kind, such as Pod. `metadata` are lines of its metadata beside the name, such as
/// `labels: {app: web}`.
#[must_use]
pub fn object(kind: &str, name: &str, metadata: &[&str]) -> String {
    let mut text = format!("---\napiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n");
    for line in metadata {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// A SpiderPolicy with the component in `file`. `more` are further lines of the spec, such as `order: 10`.
#[must_use]
pub fn policy(name: &str, file: &str, more: &[&str]) -> String {
    let mut text = format!(
        "---\napiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderPolicy\nmetadata:\n  name: {name}\nspec:\n  \
         source: {{file: {file}}}\n"
    );
    for line in more {
        let _ = writeln!(text, "  {line}");
    }
    text
}
