//! What the proof wrote, and taking it away again.

use super::{report::Left, store::Store};
use crate::{connection::Connection, failure::Failure};

/// An object, or the version that an operation made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    key: String,
    version: Option<String>,
}

/// Everything that was written and is still there.
#[derive(Debug, Default)]
pub(super) struct Litter {
    written: Vec<Written>,
    left: Vec<Left>,
}

impl Litter {
    /// An object that is about to be written: it may be there even when no answer comes.
    pub(super) fn expect(&mut self, key: &str) {
        self.written.push(Written { key: key.to_owned(), version: None });
    }

    /// What came of the object that was expected last.
    pub(super) fn settle(&mut self, outcome: &Result<Option<String>, Failure>) {
        match outcome {
            Ok(version) => {
                if let Some(last) = self.written.last_mut() {
                    last.version.clone_from(version);
                }
            }
            Err(Failure::Unreachable { .. }) => {}
            Err(_) => {
                self.written.pop();
            }
        }
    }

    /// A delete marker that an operation made.
    pub(super) fn marked(&mut self, key: &str, version: String) {
        self.written.push(Written { key: key.to_owned(), version: Some(version) });
    }

    /// What could not be taken away.
    pub(super) fn into_left(self) -> Vec<Left> {
        self.left
    }

    /// Takes everything away: with the session's credentials, else with the operator's.
    pub(super) async fn clear(&mut self, session: Option<&Store>, connection: &Connection, bucket: &str) {
        for Written { key, version } in std::mem::take(&mut self.written) {
            let version = version.as_deref();
            let Err(by_session) = delete(session, &key, version).await else { continue };
            let operator = match connection.operator_s3().await {
                Ok(client) => Ok(Store::new(client, bucket)),
                Err(failure) => Err(failure.to_string()),
            };
            let by_operator = match &operator {
                Ok(store) => delete(Some(store), &key, version).await,
                Err(why) => Err(why.clone()),
            };
            let Err(by_operator) = by_operator else { continue };
            let mut why = format!("the session: {by_session}; the operator: {by_operator}");
            // Without the permission to delete versions, a marker at least hides the object.
            if version.is_some() {
                let hidden = match delete(session, &key, None).await {
                    Ok(()) => true,
                    Err(_) => delete(operator.as_ref().ok(), &key, None).await.is_ok(),
                };
                if hidden {
                    why.push_str("; a delete marker hides it");
                }
            }
            self.left.push(Left { key, version: version.map(str::to_owned), why });
        }
    }
}

async fn delete(store: Option<&Store>, key: &str, version: Option<&str>) -> Result<(), String> {
    let Some(store) = store else { return Err("there is none".to_owned()) };
    match store.delete(key, version).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.short()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_there_is_kept() {
        let mut litter = Litter::default();
        let unreachable = Failure::Unreachable { service: "S3".to_owned(), cause: "lost".to_owned() };
        let refused = Failure::Refused { status: 403, code: "AccessDenied".to_owned(), message: String::new() };
        for (key, outcome) in [("a", Ok(Some("1".to_owned()))), ("b", Err(refused)), ("c", Err(unreachable))] {
            litter.expect(key);
            litter.settle(&outcome);
        }
        litter.marked("d", "2".to_owned());
        let written =
            |key: &str, version: Option<&str>| Written { key: key.to_owned(), version: version.map(str::to_owned) };
        assert_eq!(litter.written, [written("a", Some("1")), written("c", None), written("d", Some("2"))]);
    }
}
