//! `cargo xtask prepare`: what demo, tests and benchmarks need of the system, from Debian's packages, and of the toolchain.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::{say, step};
use crate::{process, rustc};

/// Something that has to be there, and the package that brings it.
struct Need {
    /// A program's name, or a file's absolute path.
    what: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: [Need; 8] = [
    Need { what: "ip", package: "iproute2", why: "demo and tests make network namespaces and look at links with it" },
    Need { what: "ping", package: "iputils-ping", why: "the demo shows that pods reach each other" },
    Need { what: "jq", package: "jq", why: "the demo reads the plugins' results" },
    Need { what: "unshare", package: "util-linux", why: "tests run in namespaces of their own" },
    Need { what: "faketime", package: "faketime", why: "tests have clocks of agents jump" },
    Need { what: "git", package: "git", why: "the rules are about the files that git tracks" },
    Need {
        what: "/usr/lib/cni/macvlan",
        package: "containernetworking-plugins",
        why: "the interface plugin that calls ours in demo and tests",
    },
    Need {
        what: "/usr/lib/cni/host-local",
        package: "containernetworking-plugins",
        why: "the plugin that benchmarks compare with",
    },
];

pub(crate) fn run() -> Result<()> {
    packages()?;
    musl()
}

/// The plugins start in half the time with it, and do without.
fn musl() -> Result<()> {
    let rustc = rustc::path();
    let target = rustc::musl(&rustc)?;
    if rustc::has_std(&rustc, &target, None)? || process::find("rustup").is_none() {
        return Ok(());
    }
    let added = step(format_args!("rustup adds {target}, for the plugins"), || rustc::add_std(&target));
    if let Err(error) = added {
        say(format_args!(
            "  it cannot, and the plugins are linked with this machine's C library; by hand it is: rustup target add {target}\n{error:#}"
        ));
    }
    Ok(())
}

fn packages() -> Result<()> {
    let missing = NEEDS.iter().filter(|need| !is_present(need.what)).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    for Need { what, package, why } in &missing {
        say(format_args!("{what} is missing (package {package}): {why}"));
    }
    let mut packages = missing.iter().map(|need| need.package).collect::<Vec<_>>();
    packages.sort_unstable();
    packages.dedup();
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if process::find("apt-get").is_none() {
        bail!("there is no apt-get here; install what is missing with this system's own tool and try again");
    }
    if process::output(Command::new("id").arg("-u"))?.trim_end() != "0" {
        bail!("only root may install; run this and try again:\n    sudo {by_hand}");
    }
    step(format_args!("installing {}", packages.join(", ")), || install(&packages))
        .with_context(|| format!("what is missing cannot be installed; by hand it is: {by_hand}"))?;
    match missing.iter().find(|need| !is_present(need.what)) {
        Some(Need { what, package, .. }) => bail!("the package {package} is installed, but {what} is still missing"),
        None => Ok(()),
    }
}

fn is_present(what: &str) -> bool {
    if what.starts_with('/') { Path::new(what).is_file() } else { process::find(what).is_some() }
}

/// A machine whose package lists are missing or old gets new ones, and a second try.
fn install(packages: &[&str]) -> Result<()> {
    if process::output(&mut apt_install(packages)).is_ok() {
        return Ok(());
    }
    say("  the package lists are missing or old; refreshing them");
    process::output(Command::new("apt-get").args(["update", "-qq"]))?;
    process::output(&mut apt_install(packages))?;
    Ok(())
}

fn apt_install(packages: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_that_of_a_program_or_of_a_file() {
        let cases = [
            ("sh", true),
            ("/bin/sh", true),
            ("no-such-program-anywhere", false),
            ("/no/such/file", false),
            ("/bin", false),
        ];
        for (what, expected) in cases {
            assert_eq!(is_present(what), expected, "{what}");
        }
    }

    #[test]
    fn every_need_says_why_in_words() {
        for Need { what, package, why } in &NEEDS {
            assert!(!package.is_empty() && why.split(' ').count() >= 4, "{what}: {why}");
        }
    }
}
