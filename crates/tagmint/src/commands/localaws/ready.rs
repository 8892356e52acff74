//! What `tagmint localaws` prints once it runs.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use tagmint_localaws::{account::AccessKey, scope::Scope};

/// The running stand-in.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) endpoint: String,
    pub(super) administrator: AccessKey,
    pub(super) scope: Arc<Scope>,
    pub(super) secure_transport: bool,
    /// The configuration whose AWS side is rehearsed.
    pub(super) config: Option<PathBuf>,
    /// The account, where it was asked for.
    pub(super) account: Option<String>,
}

impl Ready {
    pub(super) fn json(&self) -> Value {
        let Scope { account, region, partition } = &*self.scope;
        json!({
            "endpoint": self.endpoint,
            "access_key_id": self.administrator.id,
            "secret_access_key": self.administrator.secret,
            "account": account,
            "region": region,
            "partition": partition,
        })
    }

    pub(super) fn what_to_try(&self) -> String {
        let Self { endpoint, administrator, .. } = self;
        let Scope { account, region, partition } = &*self.scope;
        let (id, secret) = (&administrator.id, &administrator.secret);
        let partition = if partition == "aws" { Cow::Borrowed("") } else { format!(", partition {partition}").into() };
        let tls = if self.secure_transport {
            "Policies see its requests as if they came over TLS."
        } else {
            "Policies see its requests as plain HTTP; --secure-transport makes them pass for TLS."
        };
        let rehearsal = self.rehearsal();
        format!(
            r#"
The stand-in for AWS is ready on {endpoint}, account {account}, region {region}{partition}.
{tls}

As its administrator, in another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={region} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID={id}
  export AWS_SECRET_ACCESS_KEY={secret}

  aws sts get-caller-identity
  aws iam create-open-id-connect-provider --url https://ISSUER --client-id-list sts.amazonaws.com
  aws s3 mb s3://my-bucket
{rehearsal}
An aws before version 2.13 (Debian 12 has 2.9) or 1.29 does not read AWS_ENDPOINT_URL and asks AWS itself. Give it the endpoint,
in each command or for a whole bash and the scripts that it runs:

  aws --endpoint-url {endpoint} sts get-caller-identity
  aws() {{ command aws --endpoint-url {endpoint} "$@"; }}; export -f aws

Ctrl-C ends it.
"#
        )
    }

    /// The commands that set the configuration's AWS side up and look at it.
    fn rehearsal(&self) -> String {
        let Some(config) = &self.config else { return String::new() };
        let config = quoted(&config.display().to_string());
        let account = self.account.as_ref().map_or_else(String::new, |account| format!(" --account {account}"));
        format!(
            "
The AWS side of {config}:

  tagmint aws render --config {config}{account} --format cli --out aws && aws/setup.sh
  tagmint aws diff --config {config}{account}
"
        )
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%".contains(&byte);
    if word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(config: Option<&str>) -> Ready {
        Ready {
            endpoint: "http://127.0.0.1:4566".to_owned(),
            administrator: AccessKey { id: "AKIA".to_owned(), secret: "secret".to_owned() },
            scope: Arc::new(Scope {
                partition: "aws".to_owned(),
                account: "111122223333".to_owned(),
                region: "eu-central-1".to_owned(),
            }),
            secure_transport: config.is_some(),
            config: config.map(PathBuf::from),
            account: None,
        }
    }

    /// boto3 and version 1 of the `aws` command read only the second one.
    #[test]
    fn the_region_is_told_to_every_client() {
        let told = ready(None).what_to_try();
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            assert!(told.contains(&format!(" {variable}=eu-central-1")), "{told}");
        }
    }

    #[test]
    fn clients_that_do_not_read_the_variable_get_the_endpoint() {
        let told = ready(None).what_to_try();
        assert!(told.contains("\n  aws --endpoint-url http://127.0.0.1:4566 sts get-caller-identity\n"), "{told}");
        let function = "\n  aws() { command aws --endpoint-url http://127.0.0.1:4566 \"$@\"; }; export -f aws\n";
        assert!(told.contains(function), "{told}");
    }

    #[test]
    fn a_configuration_is_rehearsed() {
        let told = Ready { account: Some("444455556666".to_owned()), ..ready(Some("deploy/test/tagmint.toml")) };
        let told = told.what_to_try();
        let diff = "\n  tagmint aws diff --config deploy/test/tagmint.toml --account 444455556666\n";
        assert!(told.contains(diff), "{told}");
        assert!(told.contains("as if they came over TLS"), "{told}");
        assert!(!ready(None).what_to_try().contains("tagmint aws diff"));
        assert!(ready(Some("it's mine.toml")).what_to_try().contains(r"diff --config 'it'\''s mine.toml'"));
    }
}
