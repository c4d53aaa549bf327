use spiderpool_policy_guide::retention::{
    Decision, Event, Fate, Finding, FoundOwner, Holder, LookedUp, Ordinals, PodState,
};
use spiderpool_policy_guide::types::*;
use spiderpool_policy_guide::{Retention, Settings};

use super::BuiltinRetention;

const RETAIN: &str = "ipam.spidernet.io/retain";

/// The pod `name` of `shop`, gone, with these controllers.
fn holder(name: &str, owners: Vec<LookedUp>) -> Holder {
    let pod = Pod {
        namespace: "shop".into(),
        name: name.into(),
        uid: "pod".into(),
        labels: String::new(),
        annotations: Vec::new(),
        owners: owners.iter().map(|looked_up| looked_up.owner.clone()).collect(),
    };
    let context = Context {
        pod,
        namespace: Namespace { name: "shop".into(), labels: String::new(), annotations: Vec::new() },
        node: Node { name: "node-1".into(), labels: String::new() },
        cluster: Cluster {
            install_namespace: "kube-system".into(),
            default_network: None,
            families: vec![Family::Ipv4],
            subnets: false,
        },
        moment: Moment { unix_milliseconds: 0, seed: 0 },
        extra: Vec::new(),
    };
    Holder { context, state: PodState::Gone, owners, migration: None, extra: Vec::new() }
}

fn owner(api_version: &str, kind: &str, name: &str, now: Finding) -> LookedUp {
    let owner = Owner { api_version: api_version.into(), kind: kind.into(), name: name.into(), uid: "owner".into() };
    LookedUp { owner, now }
}

fn found() -> FoundOwner {
    FoundOwner { uid: "owner".into(), terminating: false, annotations: Vec::new(), ordinals: None, extra: Vec::new() }
}

fn annotated(retain: &str) -> Finding {
    Finding::Found(FoundOwner { annotations: vec![(RETAIN.into(), retain.into())], ..found() })
}

fn terminating() -> Finding {
    Finding::Found(FoundOwner { terminating: true, ..found() })
}

fn unknown() -> Finding {
    Finding::Unknown("forbidden".into())
}

fn stateful_set(start: u32, replicas: u32) -> Finding {
    Finding::Found(FoundOwner { ordinals: Some(Ordinals { start, replicas }), ..found() })
}

fn web(now: Finding) -> Vec<LookedUp> {
    vec![owner("apps/v1", "StatefulSet", "web", now)]
}

fn machine(instance: Finding, machine: Option<Finding>) -> Vec<LookedUp> {
    let mut owners = vec![owner("kubevirt.io/v1", "VirtualMachineInstance", "db", instance)];
    owners.extend(machine.map(|now| owner("kubevirt.io/v1", "VirtualMachine", "db", now)));
    owners
}

fn deployment(set: Finding, deployment: Finding) -> Vec<LookedUp> {
    vec![owner("apps/v1", "ReplicaSet", "api-5d", set), owner("apps/v1", "Deployment", "api", deployment)]
}

fn conflict() -> Event {
    Event::Conflict(vec![IpAddress::Ipv4((10, 0, 0, 1))])
}

/// The answer about `holder` is `fate` to every event of `events`, with `part` in its sentence.
#[track_caller]
fn decided(settings: &str, holder: &Holder, events: &[Event], fate: Fate, part: &str) {
    for event in events {
        let Decision { fate: actual, message } = BuiltinRetention::keep(settings.into(), holder.clone(), event.clone());
        assert_eq!(actual, fate, "{event:?}: {message}");
        assert!(message.contains(part), "{event:?}: no {part:?} in: {message}");
    }
}

/// Every event after which a pod is not there any more, or another one is.
fn departures() -> Vec<Event> {
    vec![Event::Removed("eth0".into()), Event::Gone, Event::Returned(holder("web-0", Vec::new()).context.pod)]
}

fn every() -> Vec<Event> {
    let mut events = departures();
    events.push(conflict());
    events
}

#[test]
fn a_pod_of_a_stateful_set_keeps_while_it_is_wanted() {
    let wanted = [
        ("web-0", stateful_set(0, 1), "the ordinals 0 to 0, and the pod's is 0"),
        ("web-2", stateful_set(0, 3), "the ordinals 0 to 2, and the pod's is 2"),
        ("web-5", stateful_set(5, 1), "StatefulSet `web` wants the ordinals 5 to 5"),
        ("a-b-7", stateful_set(0, u32::MAX), "the pod's is 7"),
        ("web-4294967296", stateful_set(u32::MAX, u32::MAX), "the pod's is 4294967296"),
        ("web-0", unknown(), "StatefulSet `web` cannot be looked at (forbidden)"),
        ("web-0", Finding::Found(found()), "its replicas are not told"),
    ];
    for (name, now, part) in wanted {
        decided("{}", &holder(name, web(now)), &every(), Fate::Keep, part);
    }
    let unwanted = [
        ("web-3", stateful_set(0, 3), "the ordinals 0 to 2 only, and the pod's is 3"),
        ("web-4", stateful_set(5, 3), "the ordinals 5 to 7 only"),
        ("web-8", stateful_set(5, 3), "the ordinals 5 to 7 only"),
        ("web-0", stateful_set(0, 0), "StatefulSet `web` wants no pods"),
        ("web-0", Finding::Missing, "StatefulSet `web` does not exist any more"),
        ("web-0", terminating(), "StatefulSet `web` is being deleted"),
        ("web", stateful_set(0, 3), "no controller of the pod keeps addresses"),
        ("web-x", stateful_set(0, 3), "no controller of the pod keeps addresses"),
        ("web-", stateful_set(0, 3), "no controller of the pod keeps addresses"),
        ("web-+1", stateful_set(0, 3), "no controller of the pod keeps addresses"),
        ("web-99999999999999999999", stateful_set(0, 3), "no controller of the pod keeps addresses"),
    ];
    for (name, now, part) in unwanted {
        decided("{}", &holder(name, web(now)), &every(), Fate::Release, part);
    }
}

#[test]
fn a_stateful_set_made_anew_goes_on_with_its_names() {
    let anew = FoundOwner { uid: "another".into(), ordinals: Some(Ordinals { start: 0, replicas: 1 }), ..found() };
    decided("{}", &holder("web-0", web(Finding::Found(anew))), &every(), Fate::Keep, "the pod's is 0");
}

#[test]
fn a_stateful_set_of_another_group_is_none() {
    let owners = vec![owner("apps.kruise.io/v1beta1", "StatefulSet", "web", stateful_set(0, 1))];
    decided("{}", &holder("web-0", owners.clone()), &every(), Fate::Release, "no controller of the pod");
    let listed = r#"{"stateful": [{"apiVersion": "apps.kruise.io/v1beta1", "kind": "StatefulSet"}]}"#;
    decided(listed, &holder("web-0", owners), &every(), Fate::Keep, "StatefulSet `web` exists");
}

#[test]
fn a_virtual_machine_keeps_while_it_or_its_instance_lives() {
    let alive = || Finding::Found(found());
    let cases = [
        (alive(), None, Fate::Keep, "VirtualMachineInstance `db` exists"),
        (alive(), Some(terminating()), Fate::Keep, "VirtualMachineInstance `db` exists"),
        (terminating(), None, Fate::Release, "VirtualMachineInstance `db` is being deleted"),
        (terminating(), Some(alive()), Fate::Keep, "VirtualMachine `db` exists"),
        (terminating(), Some(terminating()), Fate::Release, "VirtualMachine `db` is being deleted"),
        (terminating(), Some(Finding::Missing), Fate::Release, "VirtualMachine `db` does not exist"),
        (Finding::Missing, None, Fate::Release, "VirtualMachineInstance `db` does not exist"),
        (Finding::Missing, Some(alive()), Fate::Keep, "VirtualMachine `db` exists"),
        (Finding::Missing, Some(unknown()), Fate::Keep, "VirtualMachine `db` cannot be looked at"),
        (unknown(), None, Fate::Keep, "VirtualMachineInstance `db` cannot be looked at"),
    ];
    for (instance, above, fate, part) in cases {
        let holder = holder("virt-launcher-db-x7k2p", machine(instance, above));
        decided("{}", &holder, &every(), fate, part);
        decided(r#"{"kubevirt": false}"#, &holder, &every(), Fate::Release, "no controller of the pod");
    }
}

#[test]
fn a_live_migration_is_no_conflict() {
    let mut holder = holder("virt-launcher-db-x7k2p", machine(Finding::Found(found()), None));
    holder.migration = Some("move-db".into());
    decided("{}", &holder, &every(), Fate::Keep, "while the live migration `move-db` goes on, two pods");
}

#[test]
fn pods_of_listed_controllers_keep_while_these_exist() {
    let settings = r#"{"stateful": [{"apiVersion": "db.example/v1", "kind": "Shard"}]}"#;
    let cases = [
        (Finding::Found(found()), Fate::Keep, "Shard `s` exists"),
        (terminating(), Fate::Keep, "Shard `s` exists"),
        (unknown(), Fate::Keep, "Shard `s` cannot be looked at (forbidden)"),
        (Finding::Missing, Fate::Release, "Shard `s` does not exist"),
    ];
    for (now, fate, part) in cases {
        let far =
            vec![owner("db.example/v1", "Node", "n", Finding::Missing), owner("db.example/v1", "Shard", "s", now)];
        decided(settings, &holder("s-node", far.clone()), &every(), fate, part);
        decided("{}", &holder("s-node", far), &every(), Fate::Release, "no controller of the pod");
    }
}

#[test]
fn the_nearest_stateful_controller_decides() {
    let settings = r#"{"stateful": [{"apiVersion": "db.example/v1", "kind": "Shard"}]}"#;
    let shard = || owner("db.example/v1", "Shard", "s", Finding::Found(found()));
    let mut owners = web(stateful_set(0, 1));
    owners.push(shard());
    decided(settings, &holder("web-3", owners.clone()), &every(), Fate::Release, "StatefulSet `web` wants");
    let off = settings.replacen('{', r#"{"statefulSets": false, "#, 1);
    decided(&off, &holder("web-3", owners), &every(), Fate::Keep, "Shard `s` exists");
}

#[test]
fn a_stateless_pod_releases() {
    decided(
        "{}",
        &holder("api-x", deployment(Finding::Found(found()), Finding::Found(found()))),
        &every(),
        Fate::Release,
        "",
    );
    decided("{}", &holder("api-x", deployment(unknown(), unknown())), &every(), Fate::Release, "");
    decided("{}", &holder("bare", Vec::new()), &every(), Fate::Release, "no controller of the pod");
    decided("{\"statefulSets\": false}", &holder("web-0", web(stateful_set(0, 1))), &every(), Fate::Release, "");
}

#[test]
fn the_nearest_annotation_says_for_how_long() {
    let far = holder("api-x", deployment(Finding::Found(found()), annotated("10m")));
    decided(
        "{}",
        &far,
        &departures(),
        Fate::ReleaseAfter(600_000),
        "`ipam.spidernet.io/retain` of Deployment `api` is `10m`",
    );
    decided("{}", &far, &[conflict()], Fate::Release, "another host answers for the address");
    let near = holder("api-x", deployment(annotated("30s"), annotated("10m")));
    decided("{}", &near, &departures(), Fate::ReleaseAfter(30_000), "ReplicaSet `api-5d`");
    let bad = holder("api-x", deployment(annotated("half an hour"), annotated("10m")));
    decided(
        "{}",
        &bad,
        &departures(),
        Fate::Release,
        "is `half an hour`, which is no duration of at most ten years: write",
    );
    let gone = holder("api-x", deployment(Finding::Missing, unknown()));
    decided("{}", &gone, &departures(), Fate::Release, "no controller of the pod");
}

#[test]
fn the_annotation_adds_time_where_a_stateful_set_wants_the_pod_no_more() {
    let mut set = FoundOwner { ordinals: Some(Ordinals { start: 0, replicas: 1 }), ..found() };
    set.annotations = vec![(RETAIN.into(), "7d".into())];
    let owners = web(Finding::Found(set));
    decided("{}", &holder("web-0", owners.clone()), &every(), Fate::Keep, "the pod's is 0");
    decided("{}", &holder("web-1", owners), &departures(), Fate::ReleaseAfter(604_800_000), "`7d`");
}

#[test]
fn a_pod_that_lives_on_keeps_what_it_has() {
    let mut holder = holder("api-x", deployment(Finding::Missing, Finding::Missing));
    holder.state = PodState::Alive;
    decided("{}", &holder, &[Event::Removed("eth0".into())], Fate::Keep, "the pod lives on, and eth0 is made anew");
    decided("{}", &holder, &[conflict()], Fate::Release, "another host answers");
    for state in [PodState::Terminating, PodState::Finished, PodState::Gone, PodState::Unknown] {
        holder.state = state;
        decided("{}", &holder, &departures(), Fate::Release, "");
    }
}

#[test]
fn what_is_not_understood_keeps() {
    decided("{}", &holder("bare", Vec::new()), &[Event::Other("eclipse".into())], Fate::Keep, "`eclipse` is no event");
    decided(r#"{"kubevirt": 1}"#, &holder("bare", Vec::new()), &every(), Fate::Keep, "expected a boolean");
}

#[test]
fn settings_are_judged() {
    let all = r#"{"statefulSets": false, "kubevirt": true, "stateful": [{"apiVersion": "a/v1", "kind": "K"}]}"#;
    for right in ["{}", all] {
        assert_eq!(BuiltinRetention::check(right.into()), Ok(()), "{right}");
    }
    for (wrong, field) in [
        (r#"{"statefulsets": true}"#, "statefulsets"),
        (r#"{"stateful": [{"kind": "K"}]}"#, "apiVersion"),
        (
            r#"{"stateful": [{"apiVersion": "a/v1", "kind": "K"}, {"apiVersion": "", "kind": "K"}]}"#,
            "stateful[1].apiVersion",
        ),
        (r#"{"stateful": [{"apiVersion": "v1", "kind": ""}]}"#, "stateful[0].kind"),
    ] {
        let problems = BuiltinRetention::check(wrong.into()).expect_err(wrong);
        assert_eq!(problems.iter().map(|problem| &*problem.field).collect::<Vec<_>>(), [field], "{wrong}");
    }
}

#[test]
fn a_sentence_stays_within_bounds_whatever_others_wrote() {
    let long = "x".repeat(100_000);
    let holder = holder("api-x", vec![owner(&long, &long, &long, annotated(&long))]);
    let Decision { message, .. } = BuiltinRetention::keep("{}".into(), holder, Event::Gone);
    assert!(message.len() <= 4096, "{}", message.len());
}
