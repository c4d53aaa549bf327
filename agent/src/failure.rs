//! Answers that are no, and how they travel.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use spiderpool_storage::catalog::LookupError;
use spiderpool_wire::{ErrorBody, ErrorCode, status};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What kind of no, for programs.
    pub code: ErrorCode,
    /// What is wrong, with what, and what to change; for people.
    pub message: String,
}

impl Failure {
    /// A no of this kind.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Self::new(ErrorCode::Unavailable, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let number = match self.code {
            ErrorCode::BadRequest => status::BAD_REQUEST,
            ErrorCode::NotFound => status::NOT_FOUND,
            ErrorCode::ForbiddenStateless => status::FORBIDDEN_STATELESS,
            ErrorCode::ForbiddenStateful => status::FORBIDDEN_STATEFUL,
            ErrorCode::Refused | ErrorCode::Exhausted | ErrorCode::Unavailable | ErrorCode::Internal => status::FAILED,
        };
        let number = StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (number, Json(ErrorBody(self.message))).into_response();
        response.headers_mut().insert(ErrorCode::HEADER, HeaderValue::from_static(self.code.as_str()));
        response
    }
}
