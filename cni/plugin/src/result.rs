use std::net::IpAddr;

use serde::Serialize;
use spiderpool_ip::{Cidr, Family};
use spiderpool_wire::ipam::Dns;

use crate::Version;

/// What an IPAM plugin answers to ADD: the abbreviated form of a result, without interfaces (specification 1.1.0,
/// "Delegated plugins (IPAM)").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddResult {
    /// The addresses.
    pub ips: Vec<Ip>,
    /// The routes.
    pub routes: Vec<Route>,
    /// Name resolution.
    pub dns: Dns,
}

/// An address of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// The address with the length of the network's prefix.
    pub address: Cidr,
    /// The gateway of the network.
    pub gateway: Option<IpAddr>,
}

/// A route in the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The destination.
    pub dst: Cidr,
    /// The gateway.
    pub gw: IpAddr,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    cni_version: &'static str,
    ips: Vec<WrittenIp>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    routes: &'a [Route],
    dns: &'a Dns,
}

#[derive(Serialize)]
struct WrittenIp {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    address: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
}

impl AddResult {
    /// The JSON that goes to stdout, in the shape of `version`.
    pub(crate) fn to_json(&self, version: Version) -> serde_json::Result<String> {
        let ips = self.ips.iter().map(|ip| {
            let family = match ip.address.family() {
                Family::V4 => "4",
                Family::V6 => "6",
            };
            WrittenIp {
                version: version.addresses_say_family().then_some(family),
                address: ip.address,
                gateway: ip.gateway,
            }
        });
        let written =
            Written { cni_version: version.as_str(), ips: ips.collect(), routes: &self.routes, dns: &self.dns };
        serde_json::to_string(&written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> AddResult {
        AddResult {
            ips: vec![
                Ip { address: "10.6.0.5/16".parse().unwrap(), gateway: Some("10.6.0.1".parse().unwrap()) },
                Ip { address: "fd00::5/64".parse().unwrap(), gateway: None },
            ],
            routes: vec![Route { dst: "0.0.0.0/0".parse().unwrap(), gw: "10.6.0.1".parse().unwrap() }],
            dns: Dns { nameservers: vec!["10.0.0.2".into()], ..Dns::default() },
        }
    }

    #[test]
    fn each_version_has_its_shape() {
        let rest = r#""routes":[{"dst":"0.0.0.0/0","gw":"10.6.0.1"}],"dns":{"nameservers":["10.0.0.2"]}}"#;
        let with_family = r#""ips":[{"version":"4","address":"10.6.0.5/16","gateway":"10.6.0.1"},{"version":"6","address":"fd00::5/64"}],"#;
        let without = r#""ips":[{"address":"10.6.0.5/16","gateway":"10.6.0.1"},{"address":"fd00::5/64"}],"#;
        let golden = [
            (Version::V0_3_0, format!(r#"{{"cniVersion":"0.3.0",{with_family}{rest}"#)),
            (Version::V0_3_1, format!(r#"{{"cniVersion":"0.3.1",{with_family}{rest}"#)),
            (Version::V0_4_0, format!(r#"{{"cniVersion":"0.4.0",{with_family}{rest}"#)),
            (Version::V1_0_0, format!(r#"{{"cniVersion":"1.0.0",{without}{rest}"#)),
            (Version::V1_1_0, format!(r#"{{"cniVersion":"1.1.0",{without}{rest}"#)),
        ];
        for (version, golden) in golden {
            assert_eq!(result().to_json(version).unwrap(), golden);
        }
    }

    #[test]
    fn what_is_empty_is_left_out_but_dns() {
        let golden = r#"{"cniVersion":"1.1.0","ips":[],"dns":{}}"#;
        assert_eq!(AddResult::default().to_json(Version::V1_1_0).unwrap(), golden);
    }
}
