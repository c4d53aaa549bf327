//! Kernel parameters of the node, as Spiderpool documents them. They belong to the network namespace of the process:
//! the agent sets the node's because its pod shares the node's network.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Where the kernel shows its parameters.
pub(crate) const ROOT: &str = "/proc/sys";

const PARAMETERS: [(&str, &str); 6] = [
    // Room for the neighbours of an underlay network: the kernel's default of 1,024 is less than a large subnet has.
    ("net/ipv4/neigh/default/gc_thresh3", "28160"),
    ("net/ipv6/neigh/default/gc_thresh3", "28160"),
    // Tell neighbours when an interface comes up or changes its hardware address.
    ("net/ipv4/conf/all/arp_notify", "1"),
    ("net/ipv4/conf/all/forwarding", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    // Answers of pods with several interfaces may come back another way than the request went.
    ("net/ipv4/conf/all/rp_filter", "0"),
];

/// Sets the parameters below `root`, and says what could not be set, a sentence each. Those that the kernel does not
/// have are passed over: some came late, some belong to namespaces only, and IPv6 may be switched off.
pub(crate) fn tune(root: &Path) -> Vec<String> {
    PARAMETERS.iter().filter_map(|(name, value)| set(root, name, value).err()).collect()
}

fn set(root: &Path, name: &str, value: &str) -> Result<(), String> {
    let path = root.join(name);
    let failed = |error: std::io::Error| {
        format!(
            "kernel parameter {} cannot be set to {value}: {error}; let the agent run privileged, set it on the node \
             yourself, or switch tuneSysctlConfig off",
            name.replace('/', ".")
        )
    };
    match fs::read_to_string(&path) {
        Ok(now) if now.trim() == value => Ok(()),
        Ok(_) => fs::write(&path, value).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(root: &Path, name: &str, value: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), value).unwrap();
    }

    #[test]
    fn what_is_there_is_set_and_what_is_not_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        for (name, _) in &PARAMETERS[2..] {
            place(root.path(), name, "2\n");
        }
        assert_eq!(tune(root.path()), Vec::<String>::new());
        for (name, value) in &PARAMETERS[2..] {
            assert_eq!(fs::read_to_string(root.path().join(name)).unwrap().trim(), *value, "{name}");
        }
        assert!(!root.path().join(PARAMETERS[0].0).exists());
    }

    #[test]
    fn one_that_cannot_be_set_is_told_and_the_others_are_set() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(PARAMETERS[3].0)).unwrap();
        place(root.path(), PARAMETERS[5].0, "1");
        let told = tune(root.path());
        assert!(told.len() == 1 && told[0].contains("net.ipv4.conf.all.forwarding"), "{told:?}");
        assert_eq!(fs::read_to_string(root.path().join(PARAMETERS[5].0)).unwrap(), "0");
    }
}
