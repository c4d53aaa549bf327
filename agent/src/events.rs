//! Refusals and failures as Events on the pods that they concern, so that `kubectl describe pod` says why a pod waits.
//!
//! Whoever refuses a pod hands the sentence over and goes on: one task publishes, within limits per pod and in all. What
//! is beyond them is left out and counted; the kubelet tries again soon, and so does the next sentence.
//!
//! The agent's role needs `create` and `patch` for `events` of the group `events.k8s.io`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use prometheus_client::metrics::counter::Counter;
use spiderpool_storage::Holder;
use spiderpool_wire::ErrorCode;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use crate::failure::Failure;

/// Sentences that wait to be published. A node has some hundred pods; more than this is a storm of one and the same.
const WAITING: usize = 256;

/// How long a pod is left alone after an Event: the kubelet repeats a failed ADD every few seconds, and one line a while
/// says all of it.
const PER_POD: Duration = Duration::from_secs(10);

/// How long a pod is remembered. Less than the time after which the recorder forgets what it counts.
const MEMORY: Duration = Duration::from_secs(300);

/// Events that may come at once, and how many a second afterwards. A hundred nodes that refuse everything write 200
/// a second, a fraction of what an API server takes.
const BURST: f64 = 25.0;
const PER_SECOND: f64 = 2.0;

/// The API server's limit for a note, in bytes.
const NOTE: usize = 1024;

/// One publication is given up after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes sentences about pods.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    sentences: mpsc::Sender<Sentence>,
    omitted: Counter,
}

#[derive(Debug)]
struct Sentence {
    pod: Holder,
    reason: &'static str,
    note: String,
}

impl Events {
    /// Publishes from now on, as the agent of `node`. `omitted` counts what is left out.
    pub(crate) fn start(client: Client, node: &str, omitted: Counter) -> Self {
        let (sentences, waiting) = mpsc::channel(WAITING);
        let reporter = Reporter { controller: "spiderpool-agent".into(), instance: Some(node.to_owned()) };
        let publisher =
            Publisher { client, reporter, pods: HashMap::new(), budget: Budget::full(), omitted: omitted.clone() };
        tokio::spawn(publisher.run(waiting));
        Self { sentences, omitted }
    }

    /// Has an Event published about a pod that got no addresses. Never waits.
    pub(crate) fn refused(&self, pod: &Holder, failure: &Failure) {
        let Some(reason) = reason(failure.code) else { return };
        let sentence = Sentence { pod: pod.clone(), reason, note: shortened(&failure.message) };
        if self.sentences.try_send(sentence).is_err() {
            self.omitted.inc();
        }
    }
}

/// What kind of Event a failure is; none for what concerns no pod, or passes by itself.
fn reason(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::Refused | ErrorCode::ForbiddenStateless | ErrorCode::ForbiddenStateful | ErrorCode::NotFound => {
            Some("AddressesRefused")
        }
        ErrorCode::Exhausted => Some("AddressesExhausted"),
        ErrorCode::Internal => Some("AddressesFailed"),
        ErrorCode::BadRequest | ErrorCode::Unavailable => None,
    }
}

/// As much of a sentence as the API server takes.
fn shortened(message: &str) -> String {
    if message.len() <= NOTE {
        return message.to_owned();
    }
    let end = (0..=NOTE - '…'.len_utf8()).rev().find(|&end| message.is_char_boundary(end)).unwrap_or_default();
    format!("{}…", &message[..end])
}

struct Publisher {
    client: Client,
    reporter: Reporter,
    /// By uid.
    pods: HashMap<String, Told>,
    budget: Budget,
    omitted: Counter,
}

/// What was said about a pod last.
struct Told {
    at: Instant,
    note: String,
    recorder: Recorder,
}

impl Publisher {
    async fn run(mut self, mut waiting: mpsc::Receiver<Sentence>) {
        while let Some(sentence) = waiting.recv().await {
            let now = Instant::now();
            self.pods.retain(|_, told| now.duration_since(told.at) < MEMORY);
            let early = self.pods.get(&sentence.pod.uid).is_some_and(|told| now.duration_since(told.at) < PER_POD);
            if early || !self.budget.take(now) {
                self.omitted.inc();
                continue;
            }
            self.publish(sentence, now).await;
        }
    }

    async fn publish(&mut self, Sentence { pod, reason, note }: Sentence, now: Instant) {
        // A recorder counts what has the same reason and keeps the first sentence: one that says something else is a
        // new Event, made by a new recorder, so that people read what is wrong now.
        let recorder = match self.pods.get(&pod.uid) {
            Some(told) if told.note == note => told.recorder.clone(),
            Some(_) | None => Recorder::new(self.client.clone(), self.reporter.clone()),
        };
        let event = Event {
            type_: EventType::Warning,
            reason: reason.into(),
            note: Some(note.clone()),
            action: "AllocateAddresses".into(),
            secondary: None,
        };
        let regarding = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            namespace: Some(pod.namespace.clone()),
            name: Some(pod.pod.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectReference::default()
        };
        let outcome = timeout(PATIENCE, recorder.publish(&event, &regarding)).await;
        let trouble = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        if let Some(trouble) = trouble {
            self.omitted.inc();
            debug!(%pod, "an Event was not published: {trouble}");
        }
        self.pods.insert(pod.uid, Told { at: now, note, recorder });
    }
}

/// How many Events may still be published: fills up with time.
#[derive(Debug)]
struct Budget {
    left: f64,
    at: Option<Instant>,
}

impl Budget {
    fn full() -> Self {
        Self { left: BURST, at: None }
    }

    /// Takes one if there is one at `now`.
    fn take(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(Duration::ZERO, |at| now.duration_since(at));
        self.left = (self.left + passed.as_secs_f64() * PER_SECOND).min(BURST);
        self.at = Some(now);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_spent_and_fills_up_again() {
        let mut budget = Budget::full();
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), 25);
        let later = now + Duration::from_secs(3);
        assert_eq!((0..100).filter(|_| budget.take(later)).count(), 6);
        assert_eq!((0..100).filter(|_| budget.take(later + Duration::from_secs(3600))).count(), 25);
    }

    #[test]
    fn long_sentences_are_cut_between_letters() {
        assert_eq!(shortened("short"), "short");
        for start in ["", "a", "ab", "abc"] {
            let cut = shortened(&format!("{start}{}", "ü".repeat(1000)));
            assert!(cut.len() <= NOTE && cut.len() > NOTE - 4 && cut.ends_with("ü…"), "{}", cut.len());
        }
    }

    #[test]
    fn what_passes_by_itself_is_no_event() {
        assert_eq!(reason(ErrorCode::Unavailable), None);
        assert_eq!(reason(ErrorCode::Exhausted), Some("AddressesExhausted"));
    }
}
