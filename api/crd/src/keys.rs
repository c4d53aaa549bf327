//! Annotation and label keys, and the label values that are computed.

use spiderpool_ip::Cidr;

/// The value of [`LABEL_IPPOOL_CIDR`] and [`LABEL_SUBNET_CIDR`]: the CIDR with the first three `.`, the first seven `:`
/// and the first `/` replaced by `-`, since label values may have none of these. `10.6.0.0/16` becomes `10-6-0-0-16`,
/// `fd00::/64` becomes `fd00---64`.
#[must_use]
pub fn cidr_label_value(cidr: &Cidr) -> String {
    cidr.to_string().replacen('.', "-", 3).replacen(':', "-", 7).replacen('/', "-", 1)
}

// === Annotations of pods ===

/// One pool choice for the NIC at hand: `{"ipv4":["p"],"ipv6":["p"]}`; either key may be missing, wildcards are allowed.
pub const ANNOTATION_IPPOOL: &str = "ipam.spidernet.io/ippool";
/// Pool choices per NIC: `[{"interface":"eth0","ipv4":[…],"ipv6":[…],"cleangateway":false}]`; `interface` in all items or
/// in none.
pub const ANNOTATION_IPPOOLS: &str = "ipam.spidernet.io/ippools";
/// Extra routes of the pod: `[{"dst":"10.0.0.0/16","gw":"10.0.0.1"}]`.
pub const ANNOTATION_ROUTES: &str = "ipam.spidernet.io/routes";
/// Ours: the addresses that the pod asks for by themselves, one or a list of which the first free one is taken:
/// `{"eth0":{"ipv4":"10.6.0.9","ipv6":["fd00::9","fd00::a"]}}`.
pub const ANNOTATION_IP_ADDRESSES: &str = "ipam.spidernet.io/ip-addresses";
/// Reserved by Spiderpool and read by nobody.
pub const ANNOTATION_DNS: &str = "ipam.spidernet.io/dns";
/// The subnet for an application's automatic pools: `{"interface":"eth0","ipv4":["s"],"ipv6":["s"]}`.
pub const ANNOTATION_SUBNET: &str = "ipam.spidernet.io/subnet";
/// The same for several NICs: an array of what [`ANNOTATION_SUBNET`] has.
pub const ANNOTATION_SUBNETS: &str = "ipam.spidernet.io/subnets";
/// Addresses of an automatic pool: `"3"` in all, or `"+3"` more than replicas. On the pod and on the pool.
pub const ANNOTATION_IPPOOL_IP_NUMBER: &str = "ipam.spidernet.io/ippool-ip-number";
/// Whether an automatic pool goes with its application. Also a label of the pool.
pub const ANNOTATION_IPPOOL_RECLAIM: &str = "ipam.spidernet.io/ippool-reclaim";
/// The NIC that holds the pod's default route.
pub const ANNOTATION_DEFAULT_ROUTE_NIC: &str = "ipam.spidernet.io/default-route-nic";
/// Multus: the network of `eth0`.
pub const ANNOTATION_MULTUS_DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";
/// Multus: the networks of the further NICs, as a JSON array or as `ns/name@if,…`.
pub const ANNOTATION_MULTUS_NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
/// RDMA resources to inject; on a pod, a namespace or a SpiderMultusConfig. The value is also a label value.
pub const ANNOTATION_RDMA_RESOURCE_INJECT: &str = "cni.spidernet.io/rdma-resource-inject";
/// Network resources to inject; on a pod, a namespace or a SpiderMultusConfig. The value is also a label value.
pub const ANNOTATION_NETWORK_RESOURCE_INJECT: &str = "cni.spidernet.io/network-resource-inject";
/// Set by KubeVirt on the pod that a virtual machine migrates to; it shares the address of the old one.
pub const ANNOTATION_KUBEVIRT_MIGRATION: &str = "kubevirt.io/migrationJobName";

// === Annotations of pods and of controllers above them ===

/// For how long addresses of a pod outlive it, unless another rule keeps them: a duration such as `30s`, `10m`, `24h` or
/// `7d`. The pod's own counts, else that of the nearest controller with the annotation. The agent looks at controllers only
/// whose pods come back under their names.
pub const ANNOTATION_RETAIN: &str = "ipam.spidernet.io/retain";

// === Annotations of pools ===

/// Whether another host is looked for that has an address of the pool, `true` or `false`, whatever the installation says.
pub const ANNOTATION_DETECT_IP_CONFLICT: &str = "ipam.spidernet.io/detect-ip-conflict";
/// Whether the pool's gateway must answer before a pod uses an address, `true` or `false`, whatever the installation says.
pub const ANNOTATION_DETECT_GATEWAY: &str = "ipam.spidernet.io/detect-gateway";

// === Annotations of namespaces ===

/// Default IPv4 pools of the namespace: a JSON array of names, wildcards are allowed.
pub const ANNOTATION_DEFAULT_IPV4_IPPOOL: &str = "ipam.spidernet.io/default-ipv4-ippool";
/// Default IPv6 pools of the namespace: a JSON array of names, wildcards are allowed.
pub const ANNOTATION_DEFAULT_IPV6_IPPOOL: &str = "ipam.spidernet.io/default-ipv6-ippool";

// === Annotations of SpiderMultusConfig ===

/// The name of the network attachment that is made.
pub const ANNOTATION_MULTUS_CR_NAME: &str = "multus.spidernet.io/cr-name";
/// The `cniVersion` of the configuration that is made.
pub const ANNOTATION_MULTUS_CNI_VERSION: &str = "multus.spidernet.io/cni-version";
/// The `name` inside the configuration that is made.
pub const ANNOTATION_CNICONFIG_NAME: &str = "cni.spidernet.io/cniconfig-name";

// === Labels of pools and subnets ===

/// On every pool: its subnet, as [`cidr_label_value`] writes it.
pub const LABEL_IPPOOL_CIDR: &str = "ipam.spidernet.io/ippool-cidr";
/// On every SpiderSubnet: its subnet, as [`cidr_label_value`] writes it. A pool finds its subnet by it.
pub const LABEL_SUBNET_CIDR: &str = "ipam.spidernet.io/subnet-cidr";
/// On controlled pools: the name of the SpiderSubnet.
pub const LABEL_OWNER_SUBNET: &str = "ipam.spidernet.io/owner-spider-subnet";
/// On automatic pools: `group_version` of the application, or `version` for the core group.
pub const LABEL_OWNER_APPLICATION_GV: &str = "ipam.spidernet.io/owner-application-gv";
/// On automatic pools: the kind of the application.
pub const LABEL_OWNER_APPLICATION_KIND: &str = "ipam.spidernet.io/owner-application-kind";
/// On automatic pools: the namespace of the application.
pub const LABEL_OWNER_APPLICATION_NAMESPACE: &str = "ipam.spidernet.io/owner-application-namespace";
/// On automatic pools: the name of the application. A pool with this label *is* an automatic pool.
pub const LABEL_OWNER_APPLICATION_NAME: &str = "ipam.spidernet.io/owner-application-name";
/// On automatic pools: the UID of the application.
pub const LABEL_OWNER_APPLICATION_UID: &str = "ipam.spidernet.io/owner-application-uid";
/// On automatic pools: the NIC that they serve.
pub const LABEL_INTERFACE: &str = "ipam.spidernet.io/interface";
/// On automatic pools: `IPv4` or `IPv6`.
pub const LABEL_IP_VERSION: &str = "ipam.spidernet.io/ip-version";
/// On automatic pools: `true` or `false`, whether the pool goes with its application.
pub const LABEL_IPPOOL_RECLAIM: &str = "ipam.spidernet.io/ippool-reclaim";

// === Keys of `spec.podAffinity.matchLabels` of automatic pools. Values are raw and may be no legal label values. ===

/// The application's API group.
pub const AFFINITY_APP_API_GROUP: &str = "ipam.spidernet.io/app-api-group";
/// The application's API version.
pub const AFFINITY_APP_API_VERSION: &str = "ipam.spidernet.io/app-api-version";
/// The application's kind.
pub const AFFINITY_APP_KIND: &str = "ipam.spidernet.io/app-kind";
/// The application's namespace.
pub const AFFINITY_APP_NAMESPACE: &str = "ipam.spidernet.io/app-namespace";
/// The application's name.
pub const AFFINITY_APP_NAME: &str = "ipam.spidernet.io/app-name";

// === Labels of SpiderIPBlock ===

/// The pool that the block belongs to.
pub const LABEL_BLOCK_POOL: &str = "ipam.spidernet.io/block-pool";
/// Which addresses of the block are held, so that a list of names and labels tells where there is room: 16 bits in
/// hexadecimal, the block's first address the lowest; `fff0-0001` where some are kept or quarantined for a time, after the
/// dash. Where two writers met it may be behind.
pub const LABEL_BLOCK_HELD: &str = "ipam.spidernet.io/block-held";
/// The 4,096 addresses around the block, by their first one in hexadecimal: so that what is taken around a place of a large
/// pool can be listed without all the rest.
pub const LABEL_BLOCK_NEIGHBOURHOOD: &str = "ipam.spidernet.io/block-neighbourhood";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cidr_becomes_a_label_value() {
        let cases = [
            ("10.6.0.0/16", "10-6-0-0-16"),
            ("fd00::/64", "fd00---64"),
            ("fd00:1:2:3:4:5:6:0/112", "fd00-1-2-3-4-5-6-0-112"),
        ];
        for (cidr, value) in cases {
            assert_eq!(cidr_label_value(&cidr.parse().unwrap()), value);
        }
    }
}
