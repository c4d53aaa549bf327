//! Whether the network is asked about an address before a pod uses it: as its pool says, or else the installation.

use spiderpool_crd::keys::{ANNOTATION_DETECT_GATEWAY, ANNOTATION_DETECT_IP_CONFLICT};
use spiderpool_storage::catalog::Catalog;
use spiderpool_wire::ipam::DetectOptions;
use tracing::warn;

use crate::config::Config;
use crate::environment;

/// What there is to go by.
#[derive(Clone, Copy)]
pub(crate) struct Detection<'a> {
    pub(crate) config: &'a Config,
    pub(crate) catalog: &'a Catalog,
}

impl Detection<'_> {
    /// Whether another host may have an address of that pool.
    pub(crate) fn conflict(self, pool: &str) -> bool {
        self.of_pool(pool, ANNOTATION_DETECT_IP_CONFLICT).unwrap_or(self.config.enable_ip_conflict_detection)
    }

    /// Whether the gateway of that pool may be away.
    pub(crate) fn gateway(self, pool: &str) -> bool {
        self.of_pool(pool, ANNOTATION_DETECT_GATEWAY).unwrap_or(self.config.enable_gateway_detection)
    }

    /// How often and for how long is asked.
    pub(crate) fn options(self) -> DetectOptions {
        self.config.detect_options.into()
    }

    fn of_pool(self, pool: &str, key: &str) -> Option<bool> {
        let text = self.catalog.pools.get(pool)?.object.metadata.annotations.as_ref()?.get(key)?;
        let read = environment::boolean(text);
        read.inspect_err(|problem| warn!(pool, "the annotation {key} is as if it were not there: {problem}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spiderpool_ip::{Family, IpSet};
    use spiderpool_storage::PoolSpace;
    use spiderpool_storage::catalog::Pool;

    use super::*;

    /// A pool `p` with these annotations.
    fn catalog(annotations: &[(&str, &str)]) -> Catalog {
        let object = serde_json::json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderIPPool",
            "metadata": {"name": "p", "annotations": annotations.iter().copied().collect::<std::collections::BTreeMap<_, _>>()},
            "spec": {"subnet": "10.6.0.0/24", "ips": ["10.6.0.10"]},
        });
        let usable = IpSet::parse(Family::V4, ["10.6.0.10"]).unwrap();
        let space = Arc::new(PoolSpace::new("p", "10.6.0.0/24".parse().unwrap(), usable));
        let pool = Pool { object: Arc::new(serde_json::from_value(object).unwrap()), space };
        Catalog { pools: Arc::new([("p".to_owned(), pool)].into()), ..Catalog::default() }
    }

    #[test]
    fn a_pool_says_more_than_the_installation_where_it_says_yes_or_no() {
        let cases =
            [(None, false, true), (Some("true"), true, true), (Some("False"), false, false), (Some("x"), false, true)];
        let mut config = Config::default();
        config.enable_gateway_detection = true;
        for (said, conflict, gateway) in cases {
            let keys = [ANNOTATION_DETECT_IP_CONFLICT, ANNOTATION_DETECT_GATEWAY];
            let annotations: Vec<_> = said.iter().flat_map(|&said| keys.map(|key| (key, said))).collect();
            let detection = Detection { config: &config, catalog: &catalog(&annotations) };
            assert_eq!((detection.conflict("p"), detection.gateway("p")), (conflict, gateway), "{said:?}");
            assert_eq!((detection.conflict("q"), detection.gateway("q")), (false, true), "no such pool");
        }
    }
}
