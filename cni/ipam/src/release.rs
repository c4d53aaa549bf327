use std::path::Path;
use std::time::Duration;

use spiderpool_cni_plugin::agent::AgentError;
use spiderpool_cni_plugin::agent::Method;
use spiderpool_cni_plugin::{CniError, Sandbox};
use spiderpool_wire::ipam::{Conflict, IpamBatchDelArgs, IpamDelArgs};
use spiderpool_wire::{ErrorCode, path};

use crate::Call;

/// A release is a short write; the container runtime asks again if it was not enough.
const WITHIN: Duration = Duration::from_secs(30);

impl Call<'_> {
    /// Gives back what an interface of a sandbox holds.
    ///
    /// ## Assumptions
    /// Neither the namespace nor the pod need exist, and the pod need not be named: the agent knows addresses by sandbox
    /// and interface.
    ///
    /// ## Errors
    /// An agent that is not there is an error, because the address would leak if nobody asked again; there being nothing
    /// to release is not.
    pub(crate) fn release(&self, sandbox: &Sandbox, netns: Option<&Path>) -> Result<(), CniError> {
        let Sandbox { container_id, interface, pod } = sandbox;
        let args = IpamDelArgs {
            container_id: container_id.clone(),
            if_name: interface.clone(),
            pod_namespace: pod.namespace.clone(),
            pod_name: pod.name.clone(),
            pod_uid: pod.uid.clone(),
            net_namespace: netns.map(|netns| netns.display().to_string()).unwrap_or_default(),
        };
        match self.agent.tell(&Method::DELETE, path::IP, &args, WITHIN) {
            Ok(_) => self.log.info("released"),
            Err(AgentError::Said { code: ErrorCode::NotFound, message }) => {
                self.log.info(format_args!("nothing to release: {message}"));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Undoes an ADD that fails with `error`, and answers that error with what became of the addresses. What goes wrong
    /// here is logged; the DEL that follows a failed ADD is the next chance.
    pub(crate) fn give_back(
        &self,
        sandbox: &Sandbox,
        netns: &Path,
        conflicts: Vec<Conflict>,
        mut error: CniError,
    ) -> CniError {
        if !conflicts.is_empty() {
            match self.report(sandbox, netns, conflicts) {
                Ok(()) => error.details.insert_str(0, "the next attempt gets another address; "),
                Err(AgentError::Said {
                    code: ErrorCode::ForbiddenStateless | ErrorCode::ForbiddenStateful,
                    message,
                }) => {
                    error.details.insert_str(0, &format!("the pod keeps the address ({message}); "));
                    return error;
                }
                Err(error) => self.log.error(format_args!("the agent was not told of the conflict: {error}")),
            }
        }
        if let Err(error) = self.release(sandbox, Some(netns)) {
            self.log.error(format_args!("what this ADD got could not be given back: {error}"));
        }
        error
    }

    fn report(&self, sandbox: &Sandbox, netns: &Path, conflicts: Vec<Conflict>) -> Result<(), AgentError> {
        let args = IpamBatchDelArgs {
            container_id: sandbox.container_id.clone(),
            pod_namespace: sandbox.pod.namespace.clone(),
            pod_name: sandbox.pod.name.clone(),
            pod_uid: sandbox.pod.uid.clone(),
            net_namespace: netns.display().to_string(),
            is_release_conflict_ips: true,
            conflicts,
        };
        self.agent.tell(&Method::DELETE, path::IPS, &args, WITHIN).map(drop)
    }
}
