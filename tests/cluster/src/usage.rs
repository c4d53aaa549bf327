//! What a process has used, as the kernel counts it.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// What a process has used since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a processor, its own and the kernel's for it; in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory in bytes, now.
    pub memory: u64,
}

impl Usage {
    /// Reads it from `/proc`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: Pid) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let unit = |name| sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok());
        let ticks = unit(SysconfVar::CLK_TCK).context("the system does not say how long a tick is")?;
        let page = unit(SysconfVar::PAGE_SIZE).context("the system does not say how large a page is")?;
        parse(&stat, ticks, page).with_context(|| format!("{path} is not as proc_pid_stat(5) says: {stat}"))
    }
}

/// The fields 14, 15 (time) and 24 (pages) of proc_pid_stat(5). The second is the program's name, which may hold anything,
/// in parentheses.
fn parse(stat: &str, ticks: u64, page: u64) -> Option<Usage> {
    let fields = stat.rsplit_once(") ")?.1.split(' ').collect::<Vec<_>>();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let cpu = Duration::from_millis((field(14)? + field(15)?) * 1000 / ticks);
    Some(Usage { cpu, memory: field(24)? * page })
}

impl Sub for Usage {
    type Output = Self;

    /// What was used in between: the time since `earlier`; the memory stays that of now.
    fn sub(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), memory: self.memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_shifts_no_field() {
        let rest = "S 1 2 3 0 -1 4194560 900 0 7 0 150 50 0 0 20 0 9 0 8801 1000000 300 18446744073709551615";
        let expected = Usage { cpu: Duration::from_secs(2), memory: 300 * 4096 };
        for name in ["etcd", "a b) c", ") S 1 2"] {
            assert_eq!(parse(&format!("77 ({name}) {rest}"), 100, 4096), Some(expected), "{name}");
        }
        assert_eq!(parse("77 (etcd) S 1 2 3", 100, 4096), None);
    }
}
