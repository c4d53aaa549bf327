//! What the API server was asked, from its own metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Sub;

use anyhow::{Context, Result};

/// The counter of answered requests.
const METRIC: &str = "apiserver_request_total{";

/// A kind of request. Ordered by resource first, so that a table reads well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The resource in the plural, such as `pods`; empty for paths that are none, such as `/metrics`.
    pub resource: String,
    /// Such as `status`; mostly empty.
    pub subresource: String,
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`.
    pub verb: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

/// How many requests were answered, by kind. Watches count when they end. The API server's own are in it too: it asks
/// itself, for its leases and caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<Request, u64>);

impl Requests {
    /// Reads the text of `/metrics`.
    ///
    /// # Errors
    /// It has lines of the metric that are none.
    pub(crate) fn parse(metrics: &str) -> Result<Self> {
        let mut counts = BTreeMap::new();
        for line in metrics.lines().filter_map(|line| line.strip_prefix(METRIC)) {
            let (request, count) =
                parse_line(line).with_context(|| format!("not a count of requests: {METRIC}{line}"))?;
            // Group, version and scope are not told apart.
            *counts.entry(request).or_default() += count;
        }
        Ok(Self(counts))
    }

    /// How many there were with this verb on this resource.
    #[must_use]
    pub fn count(&self, verb: &str, resource: &str) -> u64 {
        self.sum(|request| request.verb == verb && request.resource == resource)
    }

    /// How many there were of the kinds that `fit`.
    #[must_use]
    pub fn sum(&self, fit: impl Fn(&Request) -> bool) -> u64 {
        self.0.iter().filter(|(request, _)| fit(request)).map(|(_, count)| count).sum()
    }

    /// Every kind that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&Request, u64)> {
        self.0.iter().map(|(request, count)| (request, *count))
    }
}

impl Sub<&Requests> for Requests {
    type Output = Self;

    /// Those since `earlier`.
    fn sub(mut self, earlier: &Requests) -> Self {
        self.0.retain(|request, count| {
            *count = count.saturating_sub(earlier.0.get(request).copied().unwrap_or(0));
            *count > 0
        });
        self
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Request { resource, subresource, verb, code }, count) in self.iter() {
            let slash = if subresource.is_empty() { "" } else { "/" };
            writeln!(f, "{count:>8}  {verb} {resource}{slash}{subresource} {code}")?;
        }
        Ok(())
    }
}

/// `code="200",…,verb="GET"} 12`. No label of this metric has a quote or a backslash in its value.
fn parse_line(line: &str) -> Option<(Request, u64)> {
    let (labels, count) = line.split_once("} ")?;
    let labels = labels.split(',').filter_map(|label| label.split_once('=')).collect::<BTreeMap<_, _>>();
    let value = |name: &str| labels.get(name).map(|value| value.trim_matches('"').to_owned());
    let request = Request {
        resource: value("resource")?,
        subresource: value("subresource")?,
        verb: value("verb")?,
        code: value("code")?.parse().ok()?,
    };
    // Counters are floating point numbers: large ones have an exponent.
    let count = count.trim().parse::<f64>().ok().filter(|count| *count >= 0.0)?;
    Some((request, count as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(code: u16, resource: &str, verb: &str, version: &str, count: &str) -> String {
        format!(
            "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"{resource}\",\
             scope=\"resource\",subresource=\"\",verb=\"{verb}\",version=\"{version}\"}} {count}\n"
        )
    }

    #[test]
    fn counts_are_told_by_kind_and_subtracted() {
        let before = Requests::parse(&line(201, "pods", "POST", "v1", "5")).unwrap();
        let text = [
            "# TYPE apiserver_request_total counter\n",
            &line(201, "pods", "POST", "v1", "7"),
            &line(201, "pods", "POST", "v1beta1", "1"),
            &line(409, "pods", "POST", "v1", "1"),
            &line(200, "nodes", "GET", "v1", "1.5e+06"),
            "apiserver_request_aborts_total{verb=\"GET\"} 3\n",
        ]
        .concat();
        let since = Requests::parse(&text).unwrap() - &before;
        assert_eq!(since.count("POST", "pods"), 4);
        assert_eq!(since.sum(|request| request.code == 409), 1);
        assert_eq!(since.count("GET", "nodes"), 1_500_000);
        assert_eq!((since.clone() - &since).iter().count(), 0);
        assert_eq!(since.to_string().lines().next(), Some(" 1500000  GET nodes 200"));
    }

    #[test]
    fn a_line_without_a_verb_is_told() {
        let error = Requests::parse("apiserver_request_total{code=\"200\"} 1\n").unwrap_err();
        assert!(error.to_string().starts_with("not a count of requests: apiserver_request_total{"), "{error}");
    }
}
