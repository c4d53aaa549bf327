//! What is wrong with an object, as the field errors of Kubernetes have it.

use std::fmt::Display;

use spiderpool_policy_guide::phrase;
use spiderpool_policy_guide::validation::{Cause, CauseKind};

/// Causes that are told at once: a list of thousands of wrong addresses would make an answer that hosts do not accept.
const CAUSES: usize = 50;

/// A value that cannot be.
pub(crate) fn invalid(field: &str, message: impl Display) -> Cause {
    cause(field, CauseKind::Invalid, message)
}

/// A value that is missing.
pub(crate) fn required(field: &str, message: impl Display) -> Cause {
    cause(field, CauseKind::Required, message)
}

/// A value that is well formed and not permitted here.
pub(crate) fn forbidden(field: &str, message: impl Display) -> Cause {
    cause(field, CauseKind::Forbidden, message)
}

/// A value that occurs twice.
pub(crate) fn duplicate(field: &str, message: impl Display) -> Cause {
    cause(field, CauseKind::Duplicate, message)
}

/// A value outside the list of those served.
pub(crate) fn not_supported(field: &str, message: impl Display) -> Cause {
    cause(field, CauseKind::NotSupported, message)
}

fn cause(field: &str, kind: CauseKind, message: impl Display) -> Cause {
    Cause { field: field.to_owned(), kind, message: phrase::bounded(message.to_string()) }
}

/// The first causes, and how many there are beyond them.
pub(crate) fn bounded(mut causes: Vec<Cause>) -> Vec<Cause> {
    let more = causes.len().saturating_sub(CAUSES);
    if more > 0 {
        causes.truncate(CAUSES);
        let message = format!("{more} more values are wrong; repair those above, and the rest is told");
        causes.push(cause("", CauseKind::Other("more".to_owned()), message));
    }
    causes
}
