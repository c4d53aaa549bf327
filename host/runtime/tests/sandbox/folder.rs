//! The watched folder: what is put there comes into force, and a slip of the pen harms nothing else.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use spiderpool_runtime::PolicyFolder;
use spiderpool_wire::summary::{PolicyPhase, PolicySummary};

use crate::guest;
use crate::place::Place;

struct Watched {
    place: Place,
    _folder: PolicyFolder,
    path: PathBuf,
}

impl Watched {
    fn new() -> Self {
        let place = Place::new();
        let path = place.path().join("policies");
        let folder = PolicyFolder::watch(place.host.clone(), &path).unwrap();
        Self { place, _folder: folder, path }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path.join(name), content).unwrap();
    }

    fn own(&self) -> Vec<PolicySummary> {
        let own = |summary: &PolicySummary| !summary.name.starts_with("builtin-");
        self.place.host.summaries().into_iter().filter(own).collect()
    }

    /// Waits until the policies are these: name, order and phase.
    #[track_caller]
    fn wait_for(&self, expected: &[(&str, i32, PolicyPhase)]) {
        let begun = Instant::now();
        loop {
            let own = self.own();
            let now: Vec<(&str, i32, PolicyPhase)> = own.iter().map(|it| (&*it.name, it.order, it.phase)).collect();
            if now == expected {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{own:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn manifest(name: &str, file: &str, order: i32) -> String {
    format!(
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderPolicy\nmetadata: {{name: {name}}}\n\
         spec: {{source: {{file: {file}}}, order: {order}}}\n---\n"
    )
}

#[test]
fn components_and_manifests_come_into_force_change_and_go() {
    use PolicyPhase::Ready;
    let watched = Watched::new();
    watched.write("bare.wasm", guest::affinity(""));
    watched.wait_for(&[("bare", 100, Ready)]);
    watched.write("named.wasm", guest::ranking(1));
    watched.write("two.yaml", manifest("one", "named.wasm", 7) + &manifest("two", "named.wasm", 8));
    watched.wait_for(&[("one", 7, Ready), ("two", 8, Ready), ("bare", 100, Ready)]);
    watched.write("two.yaml", manifest("one", "named.wasm", 9));
    watched.wait_for(&[("one", 9, Ready), ("bare", 100, Ready)]);
    fs::remove_file(watched.path.join("bare.wasm")).unwrap();
    watched.wait_for(&[("one", 9, Ready)]);
}

#[test]
fn a_component_that_is_replaced_takes_over_and_one_that_goes_away_is_told() {
    use PolicyPhase::{Failed, Ready};
    let watched = Watched::new();
    let digest = || watched.own().first().and_then(|policy| policy.digest.clone());
    watched.write("mine.wasm", guest::ranking(1));
    watched.write("a.yaml", manifest("mine", "mine.wasm", 7));
    watched.wait_for(&[("mine", 7, Ready)]);
    let (before, begun) = (digest(), Instant::now());
    watched.write("mine.wasm", guest::ranking(2));
    while digest() == before {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", watched.own());
        std::thread::sleep(Duration::from_millis(20));
    }
    watched.wait_for(&[("mine", 7, Ready)]);
    fs::remove_file(watched.path.join("mine.wasm")).unwrap();
    watched.wait_for(&[("mine", 7, Failed)]);
    let message = &watched.own()[0].message;
    assert!(message.contains("mine.wasm: No such file") && message.contains("stays in force"), "{message}");
}

#[test]
fn a_manifest_with_a_mistake_leaves_what_it_said_before_in_force() {
    use PolicyPhase::Ready;
    let watched = Watched::new();
    watched.write("named.wasm", guest::affinity(""));
    watched.write("a.yaml", manifest("one", "named.wasm", 7));
    watched.wait_for(&[("one", 7, Ready)]);
    watched.write("a.yaml", manifest("one", "named.wasm", 8).replace("order: 8", "order: eight"));
    watched.write("b.yaml", manifest("other", "named.wasm", 9));
    watched.wait_for(&[("one", 7, Ready), ("other", 9, Ready)]);
}

#[test]
fn a_manifest_that_was_never_right_does_not_put_its_component_in_force_with_defaults() {
    use PolicyPhase::Ready;
    let watched = Watched::new();
    watched.write("a.yaml", manifest("one", "named.wasm", 7).replace("spec:", "spec: {"));
    watched.write("named.wasm", guest::affinity(""));
    watched.write("bare.wasm", guest::affinity(""));
    watched.wait_for(&[("bare", 100, Ready)]);
}

#[test]
fn junk_is_reported_by_name_and_not_asked() {
    let watched = Watched::new();
    watched.write("junk.wasm", "not wasm");
    watched.wait_for(&[("junk", 100, PolicyPhase::Failed)]);
    assert!(watched.own()[0].message.starts_with("it is not WebAssembly"));
    assert_eq!(watched.place.decide("web-10"), Ok(vec!["a".into()]));
}

#[test]
fn a_component_outside_the_folder_is_noticed_when_it_changes() {
    let watched = Watched::new();
    let outside = watched.place.path().join("outside.wasm");
    fs::write(&outside, "not wasm yet").unwrap();
    watched.write("a.yaml", manifest("one", outside.to_str().unwrap(), 7));
    watched.wait_for(&[("one", 7, PolicyPhase::Failed)]);
    fs::write(&outside, guest::affinity("")).unwrap();
    watched.wait_for(&[("one", 7, PolicyPhase::Ready)]);
}
