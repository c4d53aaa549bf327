use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use spiderpool_cni_plugin::log::Log;
use spiderpool_cni_plugin::{CniError, Code};
use spiderpool_netlink::{Link, Namespace, NetlinkError, Socket};
use spiderpool_probe::{self as probe, Check, Finding, Interface, MacAddress, Outcome, Pace};
use spiderpool_wire::ipam::Conflict;

/// How long an interface may take from being set up to carrying frames: on virtual links no time at all, on a link that
/// negotiates longer than a pod should wait.
const CARRIER_WITHIN: Duration = Duration::from_millis(500);

/// An address that the pod is to have, and what is to be found out first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) address: IpAddr,
    pub(crate) pool: String,
    pub(crate) conflict: bool,
    pub(crate) gateway: Option<IpAddr>,
}

/// Why the addresses cannot be used.
#[derive(Debug)]
pub(crate) struct Objection {
    pub(crate) error: CniError,
    /// The addresses that others have: they must not be given to the next pod either.
    pub(crate) conflicts: Vec<Conflict>,
}

impl From<CniError> for Objection {
    fn from(error: CniError) -> Self {
        Self { error, conflicts: Vec::new() }
    }
}

/// Asks the neighbours about the addresses, and tells them if all is well.
///
/// ## Caveats
/// The calling thread stays in the namespace. A thread for the purpose would cost an ADD as much as all that is done there,
/// and whatever is left to do is done over the agent's socket, which is a file.
///
/// The main plugin may make the interface only after its addresses are known (bridge and ptp do). Then nobody can be
/// asked; that is logged, and the addresses are used.
pub(crate) fn ask_and_tell(
    namespace: &Namespace,
    name: &str,
    wanted: &[Wanted],
    pace: Pace,
    log: &Log,
) -> Result<(), Objection> {
    namespace.enter().map_err(|error| broken(&error))?;
    let asked = wanted.iter().any(|one| one.conflict || one.gateway.is_some());
    let link = match ready(name, asked) {
        Ok(link) => link,
        Err(error @ NetlinkError::NoSuchLink { .. }) => {
            if asked {
                log.warn(format_args!(
                    "conflict and gateway detection are skipped: {error}; the main plugin makes the interface later"
                ));
            }
            return Ok(());
        }
        // Announcing is a courtesy; being asked to detect is not.
        Err(error) if !asked => {
            log.warn(format_args!("nothing is announced: {error}"));
            return Ok(());
        }
        Err(error) => return Err(broken(&error).into()),
    };
    let Some(mac) = link.mac else {
        log.warn(format_args!("{name} has no Ethernet address: neighbours are neither asked nor told"));
        return Ok(());
    };
    let interface = Interface { name: link.name, index: link.index, mac: MacAddress(mac) };
    if asked {
        if !link.carrier {
            log.warn(format_args!("{name} carries no frames yet: is its other end up?"));
        }
        let checks: Vec<_> = wanted
            .iter()
            .map(|one| Check { address: one.address, conflict: one.conflict, gateway: one.gateway })
            .collect();
        let outcomes = probe::run(&interface, &checks, pace).map_err(|error| broken(&error))?;
        judge(name, wanted, &outcomes)?;
    }
    let addresses: Vec<_> = wanted.iter().map(|one| one.address).collect();
    if let Err(error) = probe::announce(&interface, &addresses, Pace::ANNOUNCE) {
        log.warn(format_args!("the addresses are not announced: {error}"));
    }
    Ok(())
}

/// Sets the interface up; where something is to be asked, waits a little until it can carry the question.
fn ready(name: &str, wait: bool) -> Result<Link, NetlinkError> {
    let mut socket = Socket::open()?;
    let mut link = socket.link(name)?;
    if link.up && link.carrier {
        return Ok(link);
    }
    socket.set_up(link.index)?;
    let end = Instant::now() + CARRIER_WITHIN;
    loop {
        link = socket.link(name)?;
        if link.carrier || !wait || Instant::now() >= end {
            return Ok(link);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Conflicts weigh more than gateways: all of them are reported.
fn judge(interface: &str, wanted: &[Wanted], outcomes: &[Outcome]) -> Result<(), Objection> {
    let mut conflicts = Vec::new();
    let mut unreachable = None;
    for (one, outcome) in wanted.iter().zip(outcomes) {
        match outcome.finding {
            Finding::Clear { .. } => {}
            Finding::Conflict { holder } => conflicts.push((one, holder)),
            Finding::GatewayUnreachable { gateway } => unreachable = unreachable.or(Some((one, gateway))),
        }
    }
    if !conflicts.is_empty() {
        let named: Vec<_> = conflicts
            .iter()
            .map(|(one, mac)| format!("{} (pool {}) is in use by {mac}", one.address, one.pool))
            .collect();
        let msg = format!("ip conflict on {interface}: {}", named.join(", "));
        let error = CniError::new(Code::AddressConflict, msg).details(
            "find the host with this hardware address, or take the address out of the pool with spec.excludeIPs or a \
             SpiderReservedIP",
        );
        let conflicts =
            conflicts.iter().map(|(one, mac)| Conflict { address: one.address, mac: mac.to_string() }).collect();
        return Err(Objection { error, conflicts });
    }
    let Some((one, gateway)) = unreachable else { return Ok(()) };
    let msg = format!("gateway {gateway} is unreachable");
    Err(CniError::new(Code::GatewayUnreachable, msg)
        .details(format!(
            "nobody answered for it on {interface} when {} asked; is spec.gateway of pool {} right, \
             and is the interface's parent connected to that network?",
            one.address, one.pool
        ))
        .into())
}

fn broken(error: &impl std::fmt::Display) -> CniError {
    CniError::new(Code::PodNetwork, format!("the pod's network cannot be examined: {error}"))
}

#[cfg(test)]
mod tests;
