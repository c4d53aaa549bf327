use crate::{CniError, Code};

/// The pod, as Kubernetes' container runtimes tell it in `CNI_ARGS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodArgs {
    /// `K8S_POD_NAMESPACE`; may be empty.
    pub namespace: String,
    /// `K8S_POD_NAME`; may be empty.
    pub name: String,
    /// `K8S_POD_UID`; may be empty.
    pub uid: String,
}

/// How CNI_ARGS is written when it is right, for messages.
pub(crate) const EXAMPLE: &str =
    "CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=…'";

impl PodArgs {
    /// Reads `CNI_ARGS`: `KEY=VALUE` pairs between semicolons. Keys that are not known are an error unless
    /// `IgnoreUnknown` is set.
    pub(crate) fn parse(text: &str) -> Result<Self, CniError> {
        let mut pod = Self::default();
        let mut ignore_unknown = false;
        let mut unknown = Vec::new();
        for pair in text.split(';').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(wrong(format!("CNI_ARGS has {pair:?}, which is not KEY=VALUE")));
            };
            match key {
                "K8S_POD_NAMESPACE" => pod.namespace = value.into(),
                "K8S_POD_NAME" => pod.name = value.into(),
                "K8S_POD_UID" => pod.uid = value.into(),
                // The same as CNI_CONTAINERID.
                "K8S_POD_INFRA_CONTAINER_ID" => {}
                "IgnoreUnknown" => ignore_unknown = truth(value)?,
                other => unknown.push(other),
            }
        }
        if unknown.is_empty() || ignore_unknown {
            return Ok(pod);
        }
        Err(wrong(format!("CNI_ARGS has keys that are not known here: {}", unknown.join(", ")))
            .details("remove them, or let them pass with IgnoreUnknown=1 in front"))
    }

    /// The pod, with its name and namespace for sure.
    ///
    /// # Errors
    /// [`Code::InvalidEnvironment`] with what is missing.
    pub fn named(&self) -> Result<&Self, CniError> {
        let missing: Vec<_> = [("K8S_POD_NAMESPACE", &self.namespace), ("K8S_POD_NAME", &self.name)]
            .into_iter()
            .filter_map(|(key, value)| value.is_empty().then_some(key))
            .collect();
        if missing.is_empty() {
            return Ok(self);
        }
        Err(wrong(format!("CNI_ARGS lacks {}: whose addresses are they?", missing.join(" and "))))
    }
}

fn wrong(msg: String) -> CniError {
    CniError::new(Code::InvalidEnvironment, msg).details(format!("example: {EXAMPLE}"))
}

/// The words that container runtimes write for true and false.
pub(crate) fn truth(value: &str) -> Result<bool, CniError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(wrong(format!("CNI_ARGS has IgnoreUnknown={other}, which is neither true nor false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn msg(text: &str) -> String {
        let error = PodArgs::parse(text).unwrap_err();
        assert_eq!(error.code, Code::InvalidEnvironment);
        error.msg
    }

    #[test]
    fn the_pod_is_read() {
        let pod = PodArgs::parse("IgnoreUnknown=true;K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=shop;K8S_POD_UID=u=1;X=y;")
            .unwrap();
        assert_eq!(pod, PodArgs { namespace: "shop".into(), name: "web-0".into(), uid: "u=1".into() });
        assert_eq!(PodArgs::parse("").unwrap(), PodArgs::default());
        assert_eq!(PodArgs::parse("K8S_POD_INFRA_CONTAINER_ID=abc").unwrap(), PodArgs::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(msg("K8S_POD_NAME"), r#"CNI_ARGS has "K8S_POD_NAME", which is not KEY=VALUE"#);
        assert_eq!(msg("A=1;K8S_POD_NAME=x;B=2"), "CNI_ARGS has keys that are not known here: A, B");
        assert_eq!(msg("IgnoreUnknown=maybe"), "CNI_ARGS has IgnoreUnknown=maybe, which is neither true nor false");
        assert_eq!(msg("A=1;IgnoreUnknown=0"), "CNI_ARGS has keys that are not known here: A");
    }

    #[test]
    fn a_pod_without_a_name_is_nobody() {
        let nobody = PodArgs::default();
        assert_eq!(
            nobody.named().unwrap_err().msg,
            "CNI_ARGS lacks K8S_POD_NAMESPACE and K8S_POD_NAME: whose addresses are they?"
        );
        let half = PodArgs { namespace: "shop".into(), ..nobody };
        assert_eq!(half.named().unwrap_err().msg, "CNI_ARGS lacks K8S_POD_NAME: whose addresses are they?");
        let whole = PodArgs { name: "web-0".into(), ..half };
        assert_eq!(whole.named().unwrap(), &whole);
    }
}
