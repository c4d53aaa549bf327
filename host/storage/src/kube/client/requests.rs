//! One request and what came of it.

use std::error::Error as _;
use std::fmt::Display;
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy;
use kube::core::Status;
use kube::{Client, Error};
use serde::de::DeserializeOwned;

use crate::kube::StoreError;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait when the server says that it is busy, and not for how long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait when the server tried to change an object and others were faster every time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// Sends single requests. Never sends one twice.
#[derive(Clone)]
pub(in crate::kube) struct Requests {
    client: Client,
    pub(super) timeout: Duration,
}

/// What came of a request that was not answered as hoped.
#[derive(Debug)]
pub(in crate::kube) enum Failure {
    /// The API server says no (4xx), and nothing was changed.
    No(Box<Status>),
    /// Anything else.
    Store(StoreError),
}

impl Requests {
    pub(in crate::kube) fn new(client: Client) -> Self {
        Self { client, timeout: TIMEOUT }
    }

    /// Reads something.
    pub(in crate::kube) async fn read<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Failure> {
        let answer = self.send(request).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| Failure::Store(StoreError::Refused(format!("its answer cannot be read: {error}"))))
    }

    /// Changes something.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Failure> {
        let answer = self.send(request).await?;
        // It was done. Reading the object again tells what is wrong with it.
        serde_json::from_slice(&answer)
            .map_err(|error| Failure::Store(StoreError::Unknown(format!("its answer cannot be read: {error}"))))
    }

    /// The answer's body.
    pub(super) async fn send(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Vec<u8>, Failure> {
        let request = request.map_err(|error| Failure::Store(StoreError::Refused(error.to_string())))?;
        let (method, path, begun) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
        let exchange = async {
            let answer = self.client.send(request.map(Into::into)).await.map_err(|error| Failure::of(&error))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| Failure::of(&error))?.to_bytes();
            tracing::debug!(%method, path, status = head.status.as_u16(), took = ?begun.elapsed(), "asked the API server");
            if head.status.is_success() {
                return Ok(body.into());
            }
            Err(Failure::answered(head.status, &head.headers, &body))
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| {
            Err(Failure::Store(StoreError::Unknown(format!("no answer within {:?}", self.timeout))))
        })
    }
}

/// The same request, answered with the object's metadata only: less to write for the server, and to read for us.
pub(super) fn metadata_only(
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
    const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    request.map(|mut request| {
        request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static(METADATA));
        request
    })
}

impl Failure {
    /// What no answer means.
    fn of(error: &Error) -> Self {
        let mut source = error.source();
        let mut never_sent = matches!(error, Error::Auth(_));
        let mut words = error.to_string();
        while let Some(cause) = source {
            never_sent |= cause.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect);
            let cause_words = cause.to_string();
            if !words.ends_with(&cause_words) {
                words = format!("{words}: {cause_words}");
            }
            source = cause.source();
        }
        Self::Store(if never_sent { StoreError::Unreachable(words) } else { StoreError::Unknown(words) })
    }

    /// What an answer that is not success means.
    fn answered(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let after = seconds.map(Duration::from_secs);
        match (code, after) {
            (StatusCode::TOO_MANY_REQUESTS, after) => {
                return Self::Store(StoreError::Throttled { after: after.unwrap_or(PAUSE) });
            }
            (StatusCode::SERVICE_UNAVAILABLE, Some(after)) => return Self::Store(StoreError::Throttled { after }),
            _ => {}
        }
        let status: Status = serde_json::from_slice(body).unwrap_or_else(|_| {
            // Proxies, and the API server itself under load, answer in plain text.
            Status::failure(String::from_utf8_lossy(body).trim(), "")
        });
        let status = status.with_code(code.as_u16());
        if code.is_client_error() && code != StatusCode::REQUEST_TIMEOUT {
            return Self::No(Box::new(status));
        }
        Self::Store(StoreError::Unknown(said(&status)))
    }

    /// The status code of a no.
    pub(in crate::kube) fn code(&self) -> Option<u16> {
        match self {
            Self::No(status) => Some(status.code),
            Self::Store(_) => None,
        }
    }

    /// Whether the object is not there.
    pub(in crate::kube) fn is_absent(&self) -> bool {
        match self {
            // Without a name it is the kind that is not there.
            Self::No(status) => status.code == 404 && status.details.as_ref().is_some_and(|it| !it.name.is_empty()),
            Self::Store(_) => false,
        }
    }

    /// Whether a JSON Patch could not be applied, because a test in it failed.
    ///
    /// The API server answers 422 and keeps to itself which operation it was. What a schema, a validation or a webhook
    /// refuses has the same code, and says which field or which webhook.
    pub(super) fn is_failed_test(&self) -> bool {
        let Self::No(status) = self else {
            return false;
        };
        let causes = status.details.as_ref().is_some_and(|details| !details.causes.is_empty());
        status.code == 422 && !causes && status.message.starts_with("the server rejected our request due to an error")
    }

    /// The same as the store says it, of the object `what`.
    pub(in crate::kube) fn about(self, what: impl Display) -> StoreError {
        let absent = self.is_absent();
        match self {
            Self::Store(error) => error,
            Self::No(status) => match status.code {
                409 if status.reason == "AlreadyExists" => StoreError::Exists(what.to_string()),
                409 => StoreError::Throttled { after: CONFLICT_PAUSE },
                404 if absent => StoreError::Gone(what.to_string()),
                404 => StoreError::Refused(format!(
                    "it does not know the kind of {what}; install the custom resource definitions of the chart"
                )),
                403 if namespace_ends(&status) => StoreError::Gone(format!("the namespace of {what}")),
                _ => StoreError::Refused(format!("{what}: {}", said(&status))),
            },
        }
    }
}

fn namespace_ends(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// The server's own words.
fn said(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
    let more: Vec<&str> = causes.filter(|cause| !cause.is_empty() && !status.message.contains(cause)).collect();
    let mut words = format!("{} ({})", status.message, status.code);
    for cause in more {
        words = format!("{words}: {cause}");
    }
    words
}

#[cfg(test)]
mod tests;
