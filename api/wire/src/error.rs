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
    fn a_body_that_is_no_string_is_shown_as_it_is() {
        for (body, text) in [(&b"502 Bad Gateway\n"[..], "502 Bad Gateway"), (br#"{"code":500}"#, r#"{"code":500}"#)] {
            assert_eq!(ErrorBody::from_bytes(body).to_string(), text);
        }
    }
}
