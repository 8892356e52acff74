//! IAM: the Query protocol, POST of a form with XML answers (IAM API reference).

use super::{Client, Request, encode_pairs, xml::Element};
use crate::failure::Failure;

/// The version of IAM's API.
const VERSION: &str = "2010-05-08";
/// What IAM takes a form as.
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// IAM as one caller's credentials see it.
#[derive(Debug, Clone)]
pub(crate) struct Iam(Client);

impl Iam {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Calls an action and returns its answer's root.
    pub(crate) async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Element, Failure> {
        let all = [("Action", action), ("Version", VERSION)].into_iter().chain(parameters.iter().copied());
        let form = encode_pairs(all);
        let url = format!("{}/", self.0.target().endpoint);
        let headers = vec![("content-type", FORM.to_owned())];
        self.0.send(&Request { method: "POST", url, headers, body: form.as_bytes() }).await?.xml().await
    }

    /// Calls an action that lists, page after page, and returns the members of the list `list`.
    pub(crate) async fn list(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        list: &str,
    ) -> Result<Vec<Element>, Failure> {
        let (mut members, mut marker) = (Vec::new(), None::<String>);
        loop {
            let next = marker.as_deref().map(|marker| ("Marker", marker));
            let page = self.call(action, &parameters.iter().copied().chain(next).collect::<Vec<_>>()).await?;
            if let Some(found) = page.find(list) {
                members.extend(found.all("member").cloned());
            }
            let truncated = page.find("IsTruncated").is_some_and(|flag| flag.text().trim() == "true");
            let after = page.find("Marker").map(|marker| marker.text().to_owned());
            match after.filter(|after| truncated && !after.is_empty() && Some(after) != marker.as_ref()) {
                Some(after) => marker = Some(after),
                None if truncated => return Err(Failure::incomplete("marker of the next page")),
                None => return Ok(members),
            }
        }
    }
}
