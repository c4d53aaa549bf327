use serde_json::json;

use super::*;

fn pool(name: &str, ips: &str, version: &str) -> SpiderIPPool {
    let spec = json!({"subnet": "10.6.0.0/16", "ips": [ips]});
    let mut pool = SpiderIPPool::new(name, serde_json::from_value(spec).unwrap());
    pool.metadata.resource_version = Some(version.to_owned());
    pool
}

fn block(pool: &str, block: &str, addresses: &[&str]) -> WatchedBlock {
    let name = SpiderIPBlock::name_of(pool, block.parse().unwrap());
    let allocations: BTreeMap<&str, &str> = addresses.iter().map(|address| (*address, "pod=shop/web uid=u")).collect();
    let object = json!({
        "apiVersion": "spiderpool.spidernet.io/v2beta1",
        "kind": "SpiderIPBlock",
        "metadata": {"name": name, "resourceVersion": "3"},
        "spec": {"pool": pool, "block": block, "allocations": allocations, "quarantine": {}},
    });
    serde_json::from_value(object).unwrap()
}

fn changed(names: &[&str]) -> Meaning {
    Meaning { changed: names.iter().map(|name| (*name).to_owned()).collect(), ..Meaning::default() }
}

fn counts(view: &View, pool: &str) -> Vec<usize> {
    view.blocks(pool).values().map(|known| known.holders.count()).collect()
}

#[test]
fn a_new_list_takes_the_place_of_the_old_one_when_it_is_complete() {
    let mut view = View::new(5000);
    view.pool_event(Event::Apply(pool("p", "10.6.0.1-10.6.0.9", "1")));
    view.pool_event(Event::Apply(pool("q", "10.6.0.1-10.6.0.9", "1")));
    for name in ["p", "q"] {
        assert_eq!(view.block_event(Event::Apply(block(name, "10.6.0.0/28", &["10.6.0.1"]))), changed(&[name]));
    }
    assert_eq!(view.sizes(), (2, 2));

    view.block_event(Event::Init);
    view.block_event(Event::InitApply(block("p", "10.6.0.0/28", &["10.6.0.1", "10.6.0.2"])));
    assert_eq!((counts(&view, "p"), counts(&view, "q")), (vec![2], vec![1]), "an unfinished list takes nothing away");
    assert!(view.block_event(Event::InitDone).listed);
    assert_eq!((counts(&view, "p"), counts(&view, "q"), view.sizes()), (vec![2], vec![], (2, 1)));

    view.pool_event(Event::Init);
    view.pool_event(Event::InitApply(pool("p", "10.6.0.1-10.6.0.9", "1")));
    assert_eq!(view.pool_event(Event::InitDone).gone, ["q"]);
    view.block_event(Event::Delete(block("p", "10.6.0.0/28", &[])));
    assert_eq!((view.blocks("p").len(), view.sizes()), (0, (1, 0)));
}

#[test]
fn of_too_many_holders_names_are_forgotten_and_read_again_when_they_are_few() {
    let mut view = View::new(2);
    let known = |view: &View| view.blocks("p").values().all(|block| matches!(block.holders, Holders::Listed(_)));
    let put = |view: &mut View, place: &str, count: u8| {
        let addresses: Vec<String> =
            (0..count).map(|last| format!("{}.{last}", place.rsplit_once('.').unwrap().0)).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        view.block_event(Event::Apply(block("p", &format!("{place}/28"), &addresses))).reread_blocks
    };
    // Twice as many as are listed are still known, so that one more and one less costs nothing.
    assert!(!put(&mut view, "10.6.0.0", 5) && known(&view));
    assert!(!put(&mut view, "10.6.1.0", 1) && !known(&view));
    assert_eq!(counts(&view, "p"), [5, 1]);
    assert!(!put(&mut view, "10.6.1.0", 2) && !known(&view));
    assert!(!put(&mut view, "10.6.0.0", 1), "three are not listed");
    assert!(!put(&mut view, "10.6.1.0", 1) && known(&view), "all are told again by chance");

    put(&mut view, "10.6.0.0", 6);
    put(&mut view, "10.6.1.0", 1);
    let gone = Event::Delete(block("p", "10.6.0.0/28", &[]));
    assert!(view.block_event(gone).reread_blocks && !known(&view));
    view.block_event(Event::Init);
    assert!(!view.block_event(Event::InitApply(block("p", "10.6.1.0/28", &["10.6.1.0"]))).reread_blocks);
    assert!(!view.block_event(Event::InitDone).reread_blocks && known(&view));
}

#[test]
fn the_echo_of_a_write_is_no_news_and_a_late_answer_none_either() {
    let mut view = View::new(5000);
    view.pool_event(Event::Apply(pool("p", "10.6.0.1", "1")));
    view.written("1", &pool("p", "10.6.0.1", "2"));
    assert_eq!(view.pool_event(Event::Apply(pool("p", "10.6.0.1", "2"))), Meaning::default());
    assert_eq!(view.pool_event(Event::Apply(pool("p", "10.6.0.1", "4"))), changed(&["p"]));
    view.written("2", &pool("p", "10.6.0.1", "3"));
    assert_eq!(view.pool("p").unwrap().version, "4");
    view.pool_event(Event::Delete(pool("p", "10.6.0.1", "5")));
    view.written("4", &pool("p", "10.6.0.1", "5"));
    assert!(view.pool("p").is_none(), "what is deleted stays deleted");
}

#[test]
fn nonsense_counts_for_nothing_and_spoils_nothing() {
    let mut view = View::new(5000);
    let mut misnamed = block("p", "10.6.0.0/28", &["10.6.0.1"]);
    misnamed.metadata.name = Some("mine".to_owned());
    let mut no_block = block("p", "10.6.0.0/28", &[]);
    no_block.spec.block = "10.6.0.0/16".to_owned();
    for object in [misnamed, no_block] {
        assert_eq!(view.block_event(Event::Apply(object)), Meaning::default());
    }
    let strange = block("p", "10.6.0.0/28", &["10.6.0.1", "10.6.1.1", "ten"]);
    assert_eq!(view.block_event(Event::Apply(strange)), changed(&["p"]));
    assert_eq!(counts(&view, "p"), [1]);
    let mut unreadable = block("p", "10.6.0.0/28", &["10.6.0.1", "10.6.0.2"]);
    unreadable.spec.allocations.insert("10.6.0.2".to_owned(), "nobody".to_owned());
    view.block_event(Event::Apply(unreadable));
    assert_eq!(counts(&view, "p"), [2], "what cannot be read is held all the same");
}
