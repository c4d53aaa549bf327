//! How far records are behind, for whoever reads metrics.

use std::fmt;
use std::sync::Weak;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use spiderpool_storage::kube::KubeLedger;

/// Asks the ledger when metrics are read. It does not keep the ledger from ending.
#[derive(Debug)]
pub(super) struct Backlog(pub(super) Weak<KubeLedger>);

impl Collector for Backlog {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(ledger) = self.0.upgrade() else { return Ok(()) };
        let behind = ConstGauge::new(i64::try_from(ledger.backlog()).unwrap_or(i64::MAX));
        let help = "Pods whose SpiderEndpoint does not say yet what they hold";
        let gauge = encoder.encode_descriptor("spiderpool_endpoints_behind", help, None, behind.metric_type())?;
        behind.encode(gauge)
    }
}
