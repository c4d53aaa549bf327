//! What a case expects.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use spiderpool_ip::Family;
use spiderpool_wire::explain::Pick;

/// The key `expect`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpectation {
    verdicts: Option<BTreeMap<String, VerdictExpectation>>,
    plan: Option<Vec<StepExpectation>>,
    skipped: Option<BTreeMap<String, String>>,
    refusal: Option<RefusalExpectation>,
    allow: Option<Value>,
    deny: Option<Vec<CauseExpectation>>,
    retention: Option<FateExpectation>,
    reason: Option<String>,
    settings: Option<Vec<ProblemExpectation>>,
}

/// What is expected for a pod. What is not said is not compared.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementExpectation {
    /// By pool, or by `interface/pool` where a pod has several interfaces.
    pub verdicts: BTreeMap<String, VerdictExpectation>,
    /// Pools that are admitted and passed over, with a part of the reason.
    pub skipped: BTreeMap<String, String>,
    /// How the decision ends.
    pub end: Option<EndExpectation>,
}

/// How a decision about a pod is to end.
#[derive(Clone, Debug, PartialEq)]
pub enum EndExpectation {
    /// With these steps, all of them.
    Plan(Vec<StepExpectation>),
    /// With a no.
    Refusal(RefusalExpectation),
}

/// What is expected for an object under review.
#[derive(Clone, Debug, PartialEq)]
pub enum ReviewExpectation {
    /// It is allowed and then has at least these fields; `null` stands for a field that is missing.
    Allow(Value),
    /// It is denied for these causes and no others, in any order.
    Deny(Vec<CauseExpectation>),
}

/// What is expected about one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerdictExpectation {
    /// Admitted, with this rank by the policy under test where one is given.
    Admit(Option<i32>),
    /// Refused, with this text in the reason or as the name of the policy that refuses.
    Refuse(String),
}

/// One interface and family of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepExpectation {
    /// The interface; `eth0` when left out.
    #[serde(default = "first_interface")]
    pub interface: String,
    /// 4 or 6.
    pub family: Family,
    /// The pools in the order in which they are tried.
    pub pools: Vec<ChoiceExpectation>,
}

fn first_interface() -> String {
    "eth0".to_owned()
}

/// A pool of a plan: its name, or its name and how an address is picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceExpectation {
    /// The pool's name.
    pub pool: String,
    /// How an address is picked; not compared when none.
    pub pick: Option<Pick>,
}

/// A refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefusalExpectation {
    /// What stopped the decision, such as `exhausted`: see [`Refusal::kind`](super::Refusal::kind).
    pub kind: Option<String>,
    /// A part of the message.
    pub message: Option<String>,
}

/// One cause of a denial.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseExpectation {
    /// The whole path, such as `spec.ips[0]`.
    pub field: String,
    /// The kind as the contract names it, such as `not-supported`.
    pub kind: Option<String>,
    /// A part of the message.
    pub message: Option<String>,
}

/// What is expected to become of a pod's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionExpectation {
    /// What becomes of them.
    pub fate: FateExpectation,
    /// A part of the reason.
    pub reason: Option<String>,
}

/// What becomes of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FateExpectation {
    /// They are kept.
    Keep,
    /// They are free.
    Release,
    /// They are free after this time.
    After(#[serde(deserialize_with = "duration")] Duration),
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| D::Error::custom(format!("{text:?}: {error}; write for instance 10m")))
}

/// One problem with the policy's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemExpectation {
    /// The whole path; empty for the settings as a whole.
    pub field: String,
    /// A part of the message.
    pub message: Option<String>,
}

impl RawExpectation {
    /// The expectation of a case about a pod.
    pub(super) fn of_placement(self) -> Result<PlacementExpectation, String> {
        if let Some(key) = self.first_but(&["verdicts", "plan", "skipped", "refusal"]) {
            return Err(format!(
                "`{key}` is no answer about a `pod`; expect it in a case without one, or with an `event`"
            ));
        }
        let end = match (self.plan, self.refusal) {
            (Some(_), Some(_)) => return Err("a `plan` and a `refusal` cannot both be expected".to_owned()),
            (Some(plan), None) if plan.is_empty() => {
                return Err("`plan` is empty; write the steps that are expected, or `refusal`".to_owned());
            }
            (plan, refusal) => plan.map(EndExpectation::Plan).or(refusal.map(EndExpectation::Refusal)),
        };
        let expectation = PlacementExpectation {
            verdicts: self.verdicts.unwrap_or_default(),
            skipped: self.skipped.unwrap_or_default(),
            end,
        };
        if expectation.verdicts.is_empty() && expectation.skipped.is_empty() && expectation.end.is_none() {
            return Err("nothing is expected; write `verdicts`, `plan`, `skipped` or `refusal`".to_owned());
        }
        Ok(expectation)
    }

    /// The expectation of a case about an object.
    pub(super) fn of_review(self) -> Result<ReviewExpectation, String> {
        if let Some(key) = self.first_but(&["allow", "deny"]) {
            return Err(format!("`{key}` is no answer to a `review`; write `allow` or `deny`"));
        }
        match (self.allow, self.deny) {
            (Some(fields), None) if fields.is_object() => Ok(ReviewExpectation::Allow(fields)),
            (Some(_), None) => Err("`allow` takes the fields that are expected then, `{}` for none".to_owned()),
            (None, Some(causes)) if !causes.is_empty() => Ok(ReviewExpectation::Deny(causes)),
            (None, Some(_)) => Err("`deny` is empty; write the causes that are expected".to_owned()),
            _ => Err("write either `allow` or `deny`".to_owned()),
        }
    }

    /// The expectation of a case about an event.
    pub(super) fn of_departure(self) -> Result<RetentionExpectation, String> {
        if let Some(key) = self.first_but(&["retention", "reason"]) {
            return Err(format!("`{key}` is no answer to an `event`; write `retention`"));
        }
        let fate = self.retention.ok_or("write `retention`: `keep`, `release` or `{after: 10m}`")?;
        Ok(RetentionExpectation { fate, reason: self.reason })
    }

    /// The first key that is written and not one of these.
    fn first_but(&self, these: &[&str]) -> Option<&'static str> {
        let keys = [
            ("verdicts", self.verdicts.is_some()),
            ("plan", self.plan.is_some()),
            ("skipped", self.skipped.is_some()),
            ("refusal", self.refusal.is_some()),
            ("allow", self.allow.is_some()),
            ("deny", self.deny.is_some()),
            ("retention", self.retention.is_some()),
            ("reason", self.reason.is_some()),
            ("settings", self.settings.is_some()),
        ];
        keys.into_iter().find(|(key, given)| *given && !these.contains(key)).map(|(key, _)| key)
    }

    /// The expectation of a case about neither: the policy's settings.
    pub(super) fn of_settings(self) -> Result<Vec<ProblemExpectation>, String> {
        match self.settings {
            Some(problems) if !problems.is_empty() => Ok(problems),
            Some(_) => Err("`settings` is empty; write the problems that are expected".to_owned()),
            None => {
                Err("the case asks nothing; write a `pod`, a `review`, or expect problems with `settings`".to_owned())
            }
        }
    }
}

impl<'de> Deserialize<'de> for VerdictExpectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Verdict;

        impl<'de> Visitor<'de> for Verdict {
            type Value = VerdictExpectation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`admit`, `{admit: RANK}` or `{refuse: a part of the reason}`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "admit" {
                    return Ok(VerdictExpectation::Admit(None));
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let verdict = match map.next_key::<String>()?.as_deref() {
                    Some("admit") => VerdictExpectation::Admit(Some(map.next_value()?)),
                    Some("refuse") => VerdictExpectation::Refuse(map.next_value()?),
                    Some(key) => return Err(A::Error::unknown_field(key, &["admit", "refuse"])),
                    None => return Err(A::Error::invalid_length(0, &self)),
                };
                match map.next_key::<String>()? {
                    Some(key) => Err(A::Error::custom(format!("`{key}` beside another verdict; write one"))),
                    None => Ok(verdict),
                }
            }
        }

        deserializer.deserialize_any(Verdict)
    }
}

impl<'de> Deserialize<'de> for ChoiceExpectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;

        impl<'de> Visitor<'de> for Choice {
            type Value = ChoiceExpectation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pool's name, or `name: lowest`, `name: spread`, `name: {sticky: key}`, `name: {exactly: [address]}`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ChoiceExpectation { pool: text.to_owned(), pick: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let Some((pool, pick)) = map.next_entry()? else {
                    return Err(A::Error::invalid_length(0, &self));
                };
                match map.next_key::<String>()? {
                    Some(key) => Err(A::Error::custom(format!("`{key}` needs an item of its own, with a `-`"))),
                    None => Ok(ChoiceExpectation { pool, pick: Some(pick) }),
                }
            }
        }

        deserializer.deserialize_any(Choice)
    }
}
