//! Answers that are no.

use spiderpool_policy_guide::allocation::{Refusal, RefusalKind};
use spiderpool_policy_guide::phrase;

/// A refusal whose message is within the bounds of the contract.
pub(crate) fn refusal(kind: RefusalKind, message: &[&str]) -> Refusal {
    Refusal { kind, message: phrase::bounded(message.concat()) }
}

/// A place where somebody wrote which pools to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// What it is, in a few words.
    pub(crate) noun: &'static str,
    /// Its key.
    pub(crate) key: &'static str,
    /// What is written there; none where that is not text but a list.
    pub(crate) text: Option<&'a str>,
    /// What could be written there.
    pub(crate) example: &'static str,
}

impl Place<'_> {
    /// The place in a few words, for instance `pod annotation ipam.spidernet.io/ippool`.
    pub(crate) fn origin(&self) -> String {
        [self.noun, " ", self.key].concat()
    }

    /// What is written here cannot be used because of `error`.
    pub(crate) fn malformed(&self, error: &str) -> Refusal {
        self.refusal(RefusalKind::Malformed(self.key.to_owned()), error)
    }

    /// No for another reason: `error` says which.
    pub(crate) fn refusal(&self, kind: RefusalKind, error: &str) -> Refusal {
        let text = self.text.map(|text| ["; it is `", &phrase::excerpt(text), "`"].concat()).unwrap_or_default();
        refusal(
            kind,
            &[
                "the ",
                self.noun,
                " ",
                self.key,
                " cannot be used: ",
                error,
                &text,
                "; write for example `",
                self.example,
                "`",
            ],
        )
    }
}
