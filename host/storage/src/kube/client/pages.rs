//! Lists, page by page.

use std::fmt::Display;

use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::requests::Requests;
use crate::kube::StoreError;

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMeta,
    // Not read as what they are at once: one object that cannot be read must not take the others along. A list of metadata
    // that is empty has `null`.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(rename = "continue", default)]
    next: String,
}

/// Whether whole objects are listed, or their metadata.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    Whole,
    Metadata,
}

impl Requests {
    /// Hands every object of a list to `each`, as JSON.
    ///
    /// No resourceVersion is asked for, so the first page is not older than the call, and the others are of the same
    /// moment.
    pub(super) async fn list(
        &self,
        path: &str,
        params: &ListParams,
        extent: Extent,
        what: impl Display + Copy,
        mut each: impl FnMut(&RawValue),
    ) -> Result<(), StoreError> {
        let request = Request::new(path);
        let mut params = params.clone();
        loop {
            let page = match extent {
                Extent::Whole => request.list(&params),
                Extent::Metadata => request.list_metadata(&params),
            };
            let answer = self.send(page).await.map_err(|failure| {
                // The server forgot the moment that the first page was of; whoever asked begins anew.
                if failure.code() == Some(410) {
                    return StoreError::Unknown(format!("the list of {what} took too long"));
                }
                failure.about(what)
            })?;
            let unreadable = |error| StoreError::Refused(format!("the list of {what} cannot be read: {error}"));
            let page: Page<'_> = serde_json::from_slice(&answer).map_err(unreadable)?;
            page.items.iter().flatten().for_each(|item| each(item));
            if page.metadata.next.is_empty() {
                return Ok(());
            }
            params.continue_token = Some(page.metadata.next);
        }
    }
}
