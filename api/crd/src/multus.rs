//! SpiderMultusConfig: a network attachment in fields instead of JSON in a string.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::CoordinatorSpec;
use crate::field::null_as_empty;
use crate::schema;

/// What a platform team writes about a network attachment. Only the part that `cniType` names is looked at.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderMultusConfig",
    plural = "spidermultusconfigs",
    shortname = "smc",
    category = "spiderpool",
    namespaced,
    derive = "PartialEq",
    doc = "A network attachment in fields instead of JSON in a string."
)]
#[serde(rename_all = "camelCase")]
pub struct SpiderMultusConfigSpec {
    /// The CNI plugin that makes the NIC.
    #[serde(default = "default_cni_type", skip_serializing_if = "Option::is_none")]
    pub cni_type: Option<CniType>,
    /// For `macvlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macvlan: Option<MasterConfig>,
    /// For `ipvlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipvlan: Option<MasterConfig>,
    /// For `vlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanConfig>,
    /// For `sriov`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sriov: Option<SriovConfig>,
    /// For `ib-sriov`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ibsriov: Option<IbSriovConfig>,
    /// For `ipoib`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipoib: Option<IpoibConfig>,
    /// For `ovs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ovs: Option<OvsConfig>,
    /// Whether the coordinator plugin is chained.
    #[serde(default = "schema::some_true", skip_serializing_if = "Option::is_none")]
    pub enable_coordinator: Option<bool>,
    /// Whether the NIC gets no address from pools.
    #[serde(rename = "disableIPAM", default = "schema::some_false", skip_serializing_if = "Option::is_none")]
    pub disable_ipam: Option<bool>,
    /// The coordinator's fields for this attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<CoordinatorSpec>,
    /// Configurations of further plugins, each as JSON.
    #[serde(
        rename = "chainCNIJsonData",
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub chain_cni_json_data: Vec<String>,
    /// For `custom`: the whole configuration as JSON.
    #[serde(rename = "customCNI", default, skip_serializing_if = "Option::is_none")]
    pub custom_cni: Option<String>,
}

/// The CNI plugin that makes the NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names of the plugins say all")]
pub enum CniType {
    Macvlan,
    Ipvlan,
    Vlan,
    Sriov,
    Ovs,
    IbSriov,
    Ipoib,
    Custom,
}

/// A NIC on top of a host's interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterConfig {
    /// The host's interfaces; several make a bond.
    pub master: Vec<String>,
    /// In bytes; 0 takes the parent's.
    #[serde(default = "schema::some_zero::<i32>", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub mtu: Option<i32>,
    /// The VLAN that is made on the parent; none when absent or 0.
    #[serde(rename = "vlanID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub vlan_id: Option<i32>,
    /// The bond of several parents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bond: Option<BondConfig>,
    /// The RDMA resource to ask the kubelet for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdma_resource_name: Option<String>,
    /// Where addresses come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ippools: Option<MultusPools>,
}

/// A NIC that is a VLAN of a host's interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VlanConfig {
    /// All that other NICs on top of a host's interface have.
    #[serde(flatten)]
    pub on: MasterConfig,
    /// Whether the VLAN is the one written here or the one that the pool's provider says.
    #[serde(default = "default_vlan_mode", skip_serializing_if = "Option::is_none")]
    pub vlan_mode: Option<VlanMode>,
}

/// Who says which VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VlanMode {
    /// `vlanID`.
    Manual,
    /// The provider of the network.
    Auto,
}

/// A virtual function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovConfig {
    /// The resource to ask the kubelet for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The VLAN of the function; none when absent or 0.
    #[serde(rename = "vlanID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub vlan_id: Option<i32>,
    /// In bytes; 0 leaves it alone.
    #[serde(default = "schema::some_zero::<i32>", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub mtu: Option<i32>,
    /// The least transmit rate in Mbit/s.
    #[serde(rename = "minTxRateMbps", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_tx_rate_mbps: Option<i64>,
    /// The greatest transmit rate in Mbit/s.
    #[serde(rename = "maxTxRateMbps", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_tx_rate_mbps: Option<i64>,
    /// Whether the RDMA device moves into the pod with the NIC.
    #[serde(default = "schema::some_false", skip_serializing_if = "Option::is_none")]
    pub rdma_isolation: Option<bool>,
    /// Where addresses come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ippools: Option<MultusPools>,
}

/// A virtual function of an InfiniBand device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IbSriovConfig {
    /// The resource to ask the kubelet for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The partition key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkey: Option<String>,
    /// The state of the link.
    #[serde(default = "default_link_state", skip_serializing_if = "Option::is_none")]
    pub link_state: Option<LinkState>,
    /// Whether the RDMA device moves into the pod with the NIC.
    #[serde(default = "schema::some_true", skip_serializing_if = "Option::is_none")]
    pub rdma_isolation: Option<bool>,
    /// Whether ib-kubernetes manages the GUIDs.
    #[serde(default = "schema::some_false", skip_serializing_if = "Option::is_none")]
    pub enable_ib_kubernetes: Option<bool>,
    /// Where addresses come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ippools: Option<MultusPools>,
}

/// The state of a virtual function's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// As the physical link is.
    Auto,
    /// Up.
    Enable,
    /// Down.
    Disable,
}

/// IP over InfiniBand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IpoibConfig {
    /// The host's interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Where addresses come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ippools: Option<MultusPools>,
}

/// A port of an Open vSwitch bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OvsConfig {
    /// The bridge.
    pub bridge: String,
    /// The VLAN tag of the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<i32>,
    /// The VLANs of a trunk port.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub trunk: Vec<Trunk>,
    /// The PCI address of a device for hardware offload.
    #[serde(rename = "deviceID", default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Where addresses come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ippools: Option<MultusPools>,
}

/// VLANs of a trunk: one, or from the least to the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trunk {
    /// The least.
    #[serde(rename = "minID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub min_id: Option<i64>,
    /// The greatest.
    #[serde(rename = "maxID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub max_id: Option<i64>,
    /// The one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub id: Option<i64>,
}

/// A bond of host interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BondConfig {
    /// The bond's name.
    pub name: String,
    /// The kernel's number of the mode.
    #[schemars(range(min = 0, max = 6))]
    pub mode: i32,
    /// Further options, `k=v;k=v`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
}

/// Where the addresses of an attachment come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultusPools {
    /// IPv4 pools in order of preference.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub ipv4: Vec<String>,
    /// IPv6 pools in order of preference.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub ipv6: Vec<String>,
    /// Whether only pools count whose subnet the host's interface has an address of.
    #[serde(default = "schema::some_false", skip_serializing_if = "Option::is_none")]
    pub match_master_subnet: Option<bool>,
}

fn default_cni_type() -> Option<CniType> {
    Some(CniType::Custom)
}

fn default_vlan_mode() -> Option<VlanMode> {
    Some(VlanMode::Manual)
}

fn default_link_state() -> Option<LinkState> {
    Some(LinkState::Enable)
}
