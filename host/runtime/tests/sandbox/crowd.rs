//! Many at once: as many as there are instances, and more.

use std::sync::Barrier;

use serde_json::json;

use crate::guest;
use crate::place::{Place, question};

/// How many instances the host keeps.
const SLOTS: usize = 64;

/// What so many threads get that begin together.
fn together<T: Send>(threads: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (start, act) = (&Barrier::new(threads), &act);
    std::thread::scope(|scope| {
        let thread = |number| {
            scope.spawn(move || {
                start.wait();
                act(number)
            })
        };
        let threads: Vec<_> = (0..threads).map(thread).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn as_many_threads_as_instances_are_all_served() {
    let place = Place::new();
    place.apply(place.policy("mine", &guest::ranking(1), json!({"order": 1})));
    let answers = together(SLOTS, |_| (0..20).map(|_| place.decide("web-10")).collect::<Vec<_>>());
    for answer in answers.into_iter().flatten() {
        assert_eq!(answer, Ok(vec!["a".into()]));
    }
}

#[test]
fn a_failing_policy_harms_nobody_beside_it() {
    let place = Place::new();
    place.apply(place.policy("bad", &guest::affinity("(unreachable)"), json!({"order": 1})));
    let answers = together(32, |number| {
        let bad = number % 2 == 0;
        (0..20).all(|_| place.decide(if bad { "web-10" } else { "web-1" }).is_err() == bad)
    });
    assert!(answers.iter().all(|right| *right));
}

#[test]
fn those_that_spin_hold_others_up_no_longer_than_their_deadline() {
    let place = Place::new();
    let limits = json!({"fuel": 5_000_000_000_u64, "deadlineMilliseconds": 50});
    place.apply(place.policy("bad", &guest::affinity("(loop (br 0))"), json!({"order": 1, "limits": limits})));
    let answers = together(16, |number| place.decide(if number % 2 == 0 { "web-10" } else { "web-1" }));
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(pools) => assert_eq!((number % 2, pools), (1, vec!["a".into()])),
            Err(error) => assert!(number % 2 == 0 && error.contains("did not answer within 50 ms"), "{error}"),
        }
    }
}

#[test]
fn decisions_beyond_the_instances_wait_for_their_turn() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let begin = |_| {
            let host = place.host.clone();
            tokio::spawn(async move { host.decide(question("web-10")).await })
        };
        let decisions: Vec<_> = (0..4 * SLOTS).map(begin).collect();
        for decision in decisions {
            let decision = decision.await.unwrap().unwrap();
            assert_eq!(decision.steps[0].choices[0].0, "a");
        }
    });
}
