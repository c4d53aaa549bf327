//! The body of an answer that is not 200.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as a bare JSON string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorBody(pub String);

impl ErrorBody {
    /// Reads a body. One that is not a JSON string, because something between the two sides wrote it, is taken as it
    /// is: its text is still the best that there is to show.
    #[must_use]
    pub fn from_bytes(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self(String::from_utf8_lossy(body).trim().to_owned()))
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of an error, for programs: sent as the header [`ErrorCode::HEADER`] beside the sentence in the body.
///
/// Spiderpool's own agent sends no such header; [`ErrorCode::parse`] reads its absence as [`ErrorCode::Internal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request itself is wrong; asking again will not help.
    BadRequest,
    /// What is asked for does not exist.
    NotFound,
    /// A policy or a rule says no; something must be changed first.
    Refused,
    /// Every pool that may serve is full; may work later.
    Exhausted,
    /// The agent cannot serve now; will work later.
    Unavailable,
    /// Addresses of a stateless workload that conflict stay with it: releasing them is switched off.
    ForbiddenStateless,
    /// Addresses of a stateful workload that conflict stay with it: it keeps what it has.
    ForbiddenStateful,
    /// Something broke; may work later.
    Internal,
}

impl ErrorCode {
    /// The name of the header.
    pub const HEADER: &'static str = "spiderpool-error";

    /// The header's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::ForbiddenStateless => "forbidden-stateless",
            Self::ForbiddenStateful => "forbidden-stateful",
            Self::Internal => "internal",
        }
    }

    /// Reads the header's value, or its absence.
    #[must_use]
    pub fn parse(value: Option<&[u8]>) -> Self {
        let said = [
            Self::BadRequest,
            Self::NotFound,
            Self::Refused,
            Self::Exhausted,
            Self::Unavailable,
            Self::ForbiddenStateless,
            Self::ForbiddenStateful,
        ];
        said.into_iter().find(|code| value == Some(code.as_str().as_bytes())).unwrap_or(Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_bare_string() {
        let error = ErrorBody("no \"pool\" has room".to_owned());
        let body = serde_json::to_vec(&error).unwrap();
        assert_eq!(body, br#""no \"pool\" has room""#);
        assert_eq!(ErrorBody::from_bytes(&body), error);
    }

    #[test]
    fn codes_survive_the_wire_and_unknown_ones_are_internal() {
        let stateful = ErrorCode::ForbiddenStateful;
        for code in [ErrorCode::BadRequest, ErrorCode::NotFound, ErrorCode::ForbiddenStateless, stateful] {
            assert_eq!(ErrorCode::parse(Some(code.as_str().as_bytes())), code);
        }
        assert_eq!(ErrorCode::parse(None), ErrorCode::Internal);
        assert_eq!(ErrorCode::parse(Some(b"melted")), ErrorCode::Internal);
    }

    #[test]
    fn a_body_that_is_no_string_is_shown_as_it_is() {
        for (body, text) in [(&b"502 Bad Gateway\n"[..], "502 Bad Gateway"), (br#"{"code":500}"#, r#"{"code":500}"#)] {
            assert_eq!(ErrorBody::from_bytes(body).to_string(), text);
        }
    }
}
