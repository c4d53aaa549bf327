use std::time::Duration;

use spiderpool_cni_plugin::agent::Method;
use spiderpool_cni_plugin::{CniError, Code};
use spiderpool_wire::path;
use spiderpool_wire::upkeep::{Attachment, IpamGcArgs, IpamGcResponse, IpamStatus};

use crate::Call;

/// A read from memory.
const STATUS_WITHIN: Duration = Duration::from_secs(10);

/// As many releases as there are stale attachments.
const GC_WITHIN: Duration = Duration::from_secs(60);

impl Call<'_> {
    /// Is the agent there, and does some pool have room? Containers that have their addresses are not affected by
    /// either, so that it is never [`Code::LimitedConnectivity`].
    pub(crate) fn status(&self) -> Result<(), CniError> {
        let status: IpamStatus = self.agent.get(path::STATUS, &(), STATUS_WITHIN).map_err(|error| {
            let error = CniError::from(error);
            CniError { code: Code::NotAvailable, ..error }
        })?;
        if status.ready {
            self.log.debug(&status.reason);
            return Ok(());
        }
        Err(CniError::new(Code::NotAvailable, status.reason))
    }

    /// Has everything of this network released that no valid attachment holds.
    pub(crate) fn collect(&self, valid: Vec<Attachment>) -> Result<(), CniError> {
        let args = IpamGcArgs { network: self.network.name.clone(), valid_attachments: valid };
        let response: IpamGcResponse = self.agent.ask(&Method::POST, path::GC, &args, GC_WITHIN)?;
        self.log.info(format_args!("released {} addresses of attachments that are gone", response.released));
        Ok(())
    }
}
