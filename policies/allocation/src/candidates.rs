//! Where a pod's addresses may come from.

use std::collections::BTreeSet;

use spiderpool_policy_guide::allocation::{Demand, Refusal, RefusalKind, Request, Source};
use spiderpool_policy_guide::metadata::annotation;
use spiderpool_policy_guide::networks;
use spiderpool_policy_guide::types::Family;

use crate::annotations::{self, InterfacePools, Pools};
use crate::pools::{Interface, Lists};
use crate::refusals::{Place, refusal};

/// The first of these places that says anything decides; they are never merged:
///
/// 1. pod annotation `ipam.spidernet.io/ippools`: pools of every interface of the pod;
/// 2. pod annotation `ipam.spidernet.io/ippool`: pools of the interface that is added now;
/// 3. namespace annotations `ipam.spidernet.io/default-ipv4-ippool` and `…/default-ipv6-ippool`;
/// 4. `default_ipv4_ippool` and `default_ipv6_ippool` of the CNI configuration;
/// 5. the cluster's default pools.
///
/// A place that names pools of one family gets addresses of that family alone. Families that are switched off are left
/// out. The annotations of the SpiderSubnet feature come before all of these when the feature is on.
///
/// # Errors
/// What is written cannot be used; the refusal says where it is written, what is wrong and what would be right.
pub fn candidates(request: &Request) -> Result<Vec<Demand>, Refusal> {
    refuse_subnets(request)?;
    let pod = &request.context.pod.annotations;
    if let Some(place) =
        annotations::find(pod, "pod annotation", annotations::IPPOOLS, r#"[{"interface": "eth0", "ipv4": ["pool-a"]}]"#)
    {
        return every_interface(request, place);
    }
    if let Some(place) = annotations::find(pod, "pod annotation", annotations::IPPOOL, r#"{"ipv4": ["pool-a"]}"#) {
        return current_interface(request, place);
    }
    if let Some(demands) = namespace(request)? {
        return Ok(demands);
    }
    if let Some(demands) = cni_configuration(request)? {
        return Ok(demands);
    }
    cluster_default(request)
}

/// Pools that are created per application are no part of this version; taking others silently would be worse than no.
fn refuse_subnets(request: &Request) -> Result<(), Refusal> {
    if !request.context.cluster.subnets {
        return Ok(());
    }
    let pod = &request.context.pod.annotations;
    let key = [annotations::SUBNETS, annotations::SUBNET].into_iter().find(|key| annotation(pod, key).is_some());
    match key {
        None => Ok(()),
        Some(key) => Err(refusal(
            RefusalKind::Unsupported(key.to_owned()),
            &[
                "the pod annotation ",
                key,
                " asks for a pool made from a SpiderSubnet, which this version does not do; name pools with the \
                 annotation ",
                annotations::IPPOOL,
                ", for example `{\"ipv4\": [\"pool-a\"]}`, or switch \
                 enableSpiderSubnet off to have the annotation ignored",
            ],
        )),
    }
}

/// Either all elements name their interface, or none does and they are the pod's interfaces in multus' order.
fn every_interface(request: &Request, place: Place<'_>) -> Result<Vec<Demand>, Refusal> {
    let elements = annotations::read::<Vec<InterfacePools>>(place)?;
    let interfaces = interfaces(&elements, request, place)?;
    let current = &request.cni.interface_name;
    if !interfaces.contains(current) {
        let listed = interfaces.join(", ");
        let error =
            ["the interface ", current, " is added now and has no element in it (it has: ", &listed, ")"].concat();
        return Err(place.refusal(RefusalKind::InterfaceMissing(current.clone()), &error));
    }
    let mut demands = Vec::with_capacity(2 * elements.len());
    for (element, nic) in elements.iter().zip(&interfaces) {
        // The configuration at hand is that of the interface which is added now. Its call gets addresses for all, and
        // later calls find theirs.
        let is_current = nic == current;
        let interface = Interface {
            nic,
            clean_gateway: element.cleangateway.unwrap_or(false),
            match_master_subnet: is_current && request.cni.match_master_subnet,
        };
        let lists = Lists {
            ipv4: element.ipv4.as_deref().unwrap_or_default(),
            ipv6: element.ipv6.as_deref().unwrap_or_default(),
        };
        demands.extend(interface.demands(lists, request, place)?);
    }
    Ok(demands)
}

/// The interface of each element.
fn interfaces(elements: &[InterfacePools], request: &Request, place: Place<'_>) -> Result<Vec<String>, Refusal> {
    let named = elements.iter().filter(|element| element.interface().is_some()).count();
    if elements.is_empty() {
        return Err(place.malformed("it has no element"));
    }
    if named != 0 && named != elements.len() {
        return Err(place.malformed("some elements name their `interface` and some do not; name all or none"));
    }
    let names: Vec<String> = match elements.iter().map(|element| element.interface().map(str::to_owned)).collect() {
        Some(names) => names,
        None => attached(elements.len(), request)?,
    };
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(place.malformed(&["the interface ", twice, " has two elements; join them"].concat())),
        None => Ok(names),
    }
}

/// What the pod's first `count` interfaces are called: as its annotation for multus names them, else by multus' habit.
fn attached(count: usize, request: &Request) -> Result<Vec<String>, Refusal> {
    let text = annotation(&request.context.pod.annotations, networks::NETWORKS).unwrap_or_default();
    let place =
        Place { noun: "pod annotation", key: networks::NETWORKS, text: Some(text), example: "namespace/network@net1" };
    let further = networks::parse(text).map_err(|error| place.malformed(&error))?;
    let name = |position: usize| {
        let element = position.checked_sub(1).and_then(|index| further.get(index));
        element.map_or_else(|| networks::interface_at(position), |element| element.interface_name(position))
    };
    Ok((0..count).map(name).collect())
}

impl InterfacePools {
    fn interface(&self) -> Option<&str> {
        self.interface.as_deref().filter(|name| !name.is_empty())
    }
}

fn current_interface(request: &Request, place: Place<'_>) -> Result<Vec<Demand>, Refusal> {
    let Pools { ipv4, ipv6 } = annotations::read(place)?;
    let lists = Lists { ipv4: ipv4.as_deref().unwrap_or_default(), ipv6: ipv6.as_deref().unwrap_or_default() };
    Interface::current(request).demands(lists, request, place)
}

/// Two annotations, one per family; one of them is enough.
fn namespace(request: &Request) -> Result<Option<Vec<Demand>>, Refusal> {
    let find = |key| {
        annotations::find(
            &request.context.namespace.annotations,
            "namespace annotation",
            key,
            r#"["pool-a", "pool-b"]"#,
        )
    };
    let [ipv4, ipv6] = [annotations::DEFAULT_IPV4, annotations::DEFAULT_IPV6].map(find);
    let read = |place| annotations::read::<Option<Vec<String>>>(place).map(Option::unwrap_or_default);
    let ipv4 = ipv4.map(|place| read(place).map(|pools| (place, pools))).transpose()?;
    let ipv6 = ipv6.map(|place| read(place).map(|pools| (place, pools))).transpose()?;
    by_family(request, ipv4, ipv6)
}

fn cni_configuration(request: &Request) -> Result<Option<Vec<Demand>>, Refusal> {
    let named = |key, pools: &Vec<String>| {
        let place = Place { noun: "CNI configuration", key, text: None, example: r#"["pool-a", "pool-b"]"# };
        (!pools.is_empty()).then(|| (place, pools.clone()))
    };
    let ipv4 = named("default_ipv4_ippool", &request.cni.default_ipv4_pools);
    let ipv6 = named("default_ipv6_ippool", &request.cni.default_ipv6_pools);
    by_family(request, ipv4, ipv6)
}

type Named<'a> = Option<(Place<'a>, Vec<String>)>;

/// Demands of the current interface from a place that is written per family; none when neither is there. A family that
/// is switched off matters only when the other gives nothing.
fn by_family(request: &Request, ipv4: Named<'_>, ipv6: Named<'_>) -> Result<Option<Vec<Demand>>, Refusal> {
    let interface = Interface::current(request);
    let mut demands = Vec::with_capacity(2);
    let mut refusals = Vec::new();
    let v4 = ipv4.as_ref().map(|(place, pools)| (place, Lists { ipv4: pools, ipv6: &[] }));
    let v6 = ipv6.as_ref().map(|(place, pools)| (place, Lists { ipv4: &[], ipv6: pools }));
    for (place, lists) in v4.into_iter().chain(v6) {
        match interface.demands(lists, request, *place) {
            Ok(found) => demands.extend(found),
            Err(refusal) if matches!(refusal.kind, RefusalKind::Unsupported(_)) || lists.is_empty() => {
                refusals.push(refusal);
            }
            Err(refusal) => return Err(refusal),
        }
    }
    match (demands.is_empty(), refusals.into_iter().next()) {
        (true, Some(refusal)) => Err(refusal),
        (true, None) => Ok(None),
        (false, _) => Ok(Some(demands)),
    }
}

/// One demand per family that is switched on; the host leaves out the families that no default pool has.
fn cluster_default(request: &Request) -> Result<Vec<Demand>, Refusal> {
    let families = &request.context.cluster.families;
    let demand = |family: &Family| {
        let origin = "default pools of the cluster (spec.default)".to_owned();
        Interface::current(request).demand(*family, vec![Source::ClusterDefault], origin)
    };
    if families.is_empty() {
        return Err(refusal(
            RefusalKind::NoCandidates,
            &["both IPv4 and IPv6 are switched off; set enableIPv4 or enableIPv6 in the configuration of Spiderpool"],
        ));
    }
    Ok(families.iter().map(demand).collect())
}
