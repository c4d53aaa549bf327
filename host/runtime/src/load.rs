//! From a SpiderPolicy to a policy that can be asked, or the reason why not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use spiderpool_crd::SpiderPolicySpec;
use spiderpool_crd::policy::{ExtensionPoint, PolicySource as Source};

use crate::compile::CodeCache;
use crate::engine::Sandbox;
use crate::failure::LoadError;
use crate::guest::Guest;
use crate::inspect::{self, Inspection};
use crate::limits::Limits;
use crate::loaded::Policy;
use crate::metrics::Metrics;
use crate::trial;

/// All extension points, in the order in which people are told of them.
const POINTS: [ExtensionPoint; 4] =
    [ExtensionPoint::Allocation, ExtensionPoint::Affinity, ExtensionPoint::Validation, ExtensionPoint::Retention];

/// A policy that somebody wants in force.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySource {
    /// Its name.
    pub name: String,
    /// How it is configured.
    pub spec: SpiderPolicySpec,
    /// Where relative paths of files begin.
    pub folder: PathBuf,
}

impl PolicySource {
    /// The file that the policy comes from.
    pub(crate) fn path(&self) -> Result<PathBuf, LoadError> {
        match &self.spec.source {
            Source::File(file) => Ok(self.folder.join(file)),
            Source::ConfigMap(_) => Err(LoadError::Source("configMap")),
            Source::Oci(_) => Err(LoadError::Source("oci")),
        }
    }
}

/// What loading needs.
#[derive(Clone)]
pub(crate) struct Loader {
    pub(crate) sandbox: Sandbox,
    pub(crate) cache: CodeCache,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
}

impl Loader {
    /// Accepts a policy, or says why not: names and imports, shapes, settings, and a trial of each function.
    pub(crate) fn load(&self, source: &PolicySource) -> Result<Policy, LoadError> {
        let loaded = self.accept(source);
        self.metrics.count_load(&source.name, loaded.is_err());
        loaded
    }

    fn accept(&self, source: &PolicySource) -> Result<Policy, LoadError> {
        let PolicySource { name, spec, .. } = source;
        let bytes = inspect::read(&source.path()?)?;
        let inspection = inspect::inspect_bytes(&bytes)?;
        inspect::judge(&inspection.exports, &inspection.imports)?;
        if let Some(wanted) = spec.digest.as_ref().filter(|wanted| **wanted != inspection.digest) {
            return Err(LoadError::Digest { found: inspection.digest, wanted: wanted.clone() });
        }
        let limits = self.limits.with(spec.limits.as_ref())?;
        let component = self.cache.load(&self.sandbox.engine, &bytes, &inspection.digest)?;
        let meters = |function| self.metrics.meter(name, function);
        let guest = Guest::link(&self.sandbox, &component, &inspection, &limits, meters)?;
        let policy = Policy {
            points: points(&guest, spec, &inspection)?,
            settings: serde_json::Value::Object(spec.settings.clone()).to_string(),
            source: source.clone(),
            inspection: Some(inspection),
            limits,
            guest: Ok(guest),
            metrics: self.metrics.clone(),
        };
        trial::run(&policy)?;
        Ok(policy)
    }

    /// A policy that was refused and stands in the chain all the same, so that its `onFailure` counts: where it says
    /// that it takes part, or where its exports say so. One that cannot even be read takes part in nothing.
    pub(crate) fn refused(&self, source: &PolicySource, error: LoadError) -> Policy {
        let inspection = source.path().ok().and_then(|path| inspect::inspect(&path).ok());
        let points = match (&source.spec.extension_points, &inspection) {
            (Some(points), _) => points.iter().copied().collect(),
            (None, Some(inspection)) => {
                POINTS.into_iter().filter(|point| inspect::names(&inspection.exports, interface(*point))).collect()
            }
            (None, None) => BTreeSet::new(),
        };
        Policy {
            source: source.clone(),
            points,
            inspection,
            settings: String::new(),
            limits: self.limits,
            guest: Err(error),
            metrics: self.metrics.clone(),
        }
    }
}

/// The interface of the contract behind an extension point.
pub(crate) fn interface(point: ExtensionPoint) -> &'static str {
    match point {
        ExtensionPoint::Allocation => "allocation",
        ExtensionPoint::Affinity => "affinity",
        ExtensionPoint::Validation => "validation",
        ExtensionPoint::Retention => "retention",
    }
}

fn points(
    guest: &Guest,
    spec: &SpiderPolicySpec,
    inspection: &Inspection,
) -> Result<BTreeSet<ExtensionPoint>, LoadError> {
    let has = |point: &ExtensionPoint| match point {
        ExtensionPoint::Allocation => guest.candidates.is_some() && guest.arrange.is_some(),
        ExtensionPoint::Affinity => guest.judge.is_some(),
        ExtensionPoint::Validation => guest.review.is_some(),
        ExtensionPoint::Retention => guest.keep.is_some(),
    };
    let Some(wanted) = &spec.extension_points else {
        let points: BTreeSet<ExtensionPoint> = POINTS.into_iter().filter(has).collect();
        // Settings alone answer no question.
        return if points.is_empty() { Err(inspect::no_export(&inspection.exports)) } else { Ok(points) };
    };
    match wanted.iter().find(|point| !has(point)) {
        Some(point) => Err(LoadError::Missing(interface(*point))),
        None => Ok(wanted.iter().copied().collect()),
    }
}

/// Whether the file still holds the component that a policy was made from.
pub(crate) fn holds(path: &Path, inspection: Option<&Inspection>) -> bool {
    inspect::read(path).is_ok_and(|bytes| inspection.is_some_and(|known| known.digest == inspect::digest(&bytes)))
}
