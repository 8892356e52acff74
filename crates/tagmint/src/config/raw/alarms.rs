//! Alarms and who is told of them, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, PathText};

/// When alarms are told. What they are stands in docs/alarms.md.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAlarms {
    /// How long an alarm must stand before it is told: what comes and goes within that is not. The issuer looks every minute. 0 seconds to
    /// 1 hour.
    pub after: DurationText,
    /// How long until an alarm that still stands is told again. 10 minutes to 30 days.
    pub remind_every: DurationText,
}

impl Default for RawAlarms {
    fn default() -> Self {
        Self { after: "2m".into(), remind_every: "24h".into() }
    }
}

/// Who is told of alarms: a notice when one begins, when it becomes critical, when it is over, and a reminder now and then. Each goes to
/// every sink. `tagmint alarms test` tries them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAlarmSink {
    /// Its name in the log and in metrics: 1 to 64 characters of `a-z`, `0-9` and `-`, unique.
    #[schemars(example = &"oncall")]
    pub name: String,
    /// What kind of sink it is.
    pub kind: RawAlarmSinkKind,
    /// `webhook`: its URL, where it holds no secret. The notice is the body of a POST, JSON that Slack and its like take. `http://` is for
    /// a loopback host.
    #[schemars(example = "https://alerts.example.org/tagmint")]
    pub url: Option<String>,
    /// `webhook`: the file that holds its URL, readable by its owner alone; for Slack's, which are secrets. `credential:NAME` takes the
    /// systemd credential of that name.
    #[schemars(example = "/etc/tagmint/slack-url")]
    pub url_file: Option<PathText>,
    /// `sns`: the topic's ARN. The issuer's AWS credentials (of the environment, a profile or the machine's role) must allow
    /// `sns:Publish` on it.
    #[schemars(example = "arn:aws:sns:eu-central-1:123456789012:tagmint-alarms")]
    pub topic_arn: Option<String>,
    /// `sns`: the region whose SNS is asked. Default: the topic's.
    #[schemars(example = "eu-central-1")]
    pub region: Option<String>,
    /// `sns`: the URL of an SNS other than the region's own.
    #[schemars(example = "https://vpce.example.org")]
    pub endpoint: Option<String>,
    /// `command`: a program and its arguments; no shell is between. It gets the notice on stdin, as JSON in one line, and of the issuer's
    /// environment `PATH`, `HOME`, `LANG` and `TZ` alone. Exit code 0: it arrived.
    #[schemars(example = ["/usr/local/bin/page", "--urgent"])]
    pub command: Option<Vec<String>>,
    /// `webhook`, `sns`: a PEM file with certificates to trust beside the system's.
    #[schemars(example = "/etc/tagmint/alerts-ca.pem")]
    pub ca_file: Option<PathText>,
    /// How long it may take. What fails is tried again after 30 seconds, a minute, two and so on to an hour, for a day. 1 second to 1 minute.
    #[serde(default = "default_timeout")]
    pub timeout: DurationText,
}

fn default_timeout() -> DurationText {
    "10s".into()
}

/// The kinds of sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum RawAlarmSinkKind {
    /// An HTTP endpoint: Slack, Mattermost, an alert manager's receiver.
    Webhook,
    /// A topic of Amazon SNS.
    Sns,
    /// A program on this machine.
    Command,
}
