//! Alarms and their sinks.

use jiff::SignedDuration;
use tagmint_core::{alarm::book::NoticePolicy, environment::Environment};

use super::{Check, DAY, HOUR, MINUTE, SECOND, backend::check_service_url};
use crate::config::{
    AlarmSinkConfig, AlarmSinkKind, WebhookUrl,
    problem::shortened,
    raw::{RawAlarmSink, RawAlarmSinkKind, RawAlarms},
};

/// The most sinks.
const MAX_SINKS: usize = 20;
/// The longest name of a sink, and the most words of a command.
const MAX_NAME: usize = 64;
const MAX_WORDS: usize = 100;

impl Check<'_> {
    pub(super) fn alarms(&mut self, raw: &RawAlarms) -> NoticePolicy {
        NoticePolicy {
            after: self.duration("alarms.after", &raw.after, (SignedDuration::ZERO, HOUR)),
            remind_every: self.duration("alarms.remind_every", &raw.remind_every, (MINUTE * 10, DAY * 30)),
        }
    }

    pub(super) fn alarm_sinks(&mut self, raw: &[RawAlarmSink]) -> Vec<AlarmSinkConfig> {
        if raw.len() > MAX_SINKS {
            self.problem("alarm_sink", format!("{} sinks; {MAX_SINKS} are allowed", raw.len()));
        }
        let mut known: Vec<AlarmSinkConfig> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let at = |key: &str| format!("alarm_sink[{index}].{key}");
            let fits = (1..=MAX_NAME).contains(&raw.name.len())
                && raw.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            if !fits {
                let name = shortened(&raw.name);
                self.problem(
                    &at("name"),
                    format!("`{name}` is not a name of 1 to 64 characters of `a-z`, `0-9` and `-`"),
                );
            }
            if known.iter().any(|other| other.name == raw.name) {
                self.problem(
                    &at("name"),
                    format!("`{}` is another sink's name too; names are unique", shortened(&raw.name)),
                );
            }
            self.strangers(raw, &at);
            let timeout = self.duration(&at("timeout"), &raw.timeout, (SECOND, MINUTE)).unsigned_abs();
            let kind = match raw.kind {
                RawAlarmSinkKind::Webhook => self.webhook(raw, &at),
                RawAlarmSinkKind::Sns => self.sns(raw, &at),
                RawAlarmSinkKind::Command => self.command(raw, &at),
            };
            let ca_file = raw.ca_file.as_ref().map(|file| self.path(file));
            known.extend(kind.map(|kind| AlarmSinkConfig { name: raw.name.clone(), kind, ca_file, timeout }));
        }
        known
    }

    /// Keys of another kind of sink.
    fn strangers(&mut self, raw: &RawAlarmSink, at: &dyn Fn(&str) -> String) {
        use RawAlarmSinkKind::{Command, Sns, Webhook};
        let given: [(&str, bool, &[RawAlarmSinkKind]); 7] = [
            ("url", raw.url.is_some(), &[Webhook]),
            ("url_file", raw.url_file.is_some(), &[Webhook]),
            ("topic_arn", raw.topic_arn.is_some(), &[Sns]),
            ("region", raw.region.is_some(), &[Sns]),
            ("endpoint", raw.endpoint.is_some(), &[Sns]),
            ("command", raw.command.is_some(), &[Command]),
            ("ca_file", raw.ca_file.is_some(), &[Webhook, Sns]),
        ];
        for (key, given, kinds) in given {
            if given && !kinds.contains(&raw.kind) {
                self.problem(&at(key), "is of no use to this kind of sink; remove it");
            }
        }
    }

    fn webhook(&mut self, raw: &RawAlarmSink, at: &dyn Fn(&str) -> String) -> Option<AlarmSinkKind> {
        let url = match (&raw.url, &raw.url_file) {
            (Some(url), None) => WebhookUrl::Plain(self.service_url(&at("url"), url)?),
            (None, Some(file)) => WebhookUrl::Secret(self.secret_source(&at("url_file"), file)?),
            (Some(_), Some(_)) => {
                self.problem(&at("url"), "stands beside `url_file`: give one of them");
                return None;
            }
            (None, None) => {
                self.problem(&at("url"), "is missing; a webhook needs it, or `url_file` where it is a secret");
                return None;
            }
        };
        Some(AlarmSinkKind::Webhook { url })
    }

    fn sns(&mut self, raw: &RawAlarmSink, at: &dyn Fn(&str) -> String) -> Option<AlarmSinkKind> {
        let Some(topic) = &raw.topic_arn else {
            self.problem(&at("topic_arn"), "is missing; SNS needs it");
            return None;
        };
        // arn:PARTITION:sns:REGION:ACCOUNT:NAME
        let parts: Vec<&str> = topic.split(':').collect();
        let sound = matches!(parts.as_slice(), ["arn", partition, "sns", region, account, name]
            if partition.starts_with("aws") && !region.is_empty() && !name.is_empty()
                && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
            && topic.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound {
            let topic = shortened(topic);
            let example = "arn:aws:sns:eu-central-1:123456789012:tagmint-alarms";
            self.problem(&at("topic_arn"), format!("`{topic}` is not the ARN of a topic such as `{example}`"));
            return None;
        }
        let own = parts.get(3).copied().unwrap_or_default();
        let region = raw.region.as_deref().unwrap_or(own);
        let fits = region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits || region.is_empty() || region.len() > MAX_NAME {
            self.problem(&at("region"), format!("`{}` is not a region such as `eu-central-1`", shortened(region)));
            return None;
        }
        let endpoint = match &raw.endpoint {
            Some(url) => Some(self.service_url(&at("endpoint"), url)?),
            None => None,
        };
        Some(AlarmSinkKind::Sns { topic_arn: topic.clone(), region: region.to_owned(), endpoint })
    }

    fn command(&mut self, raw: &RawAlarmSink, at: &dyn Fn(&str) -> String) -> Option<AlarmSinkKind> {
        let words = raw.command.clone().unwrap_or_default();
        if words.len() > MAX_WORDS || words.iter().any(|word| word.contains('\0')) {
            self.problem(&at("command"), format!("has more than {MAX_WORDS} words, or one with a zero byte"));
            return None;
        }
        match words.split_first() {
            Some((program, arguments)) if program.starts_with('/') => {
                Some(AlarmSinkKind::Command { program: program.into(), arguments: arguments.to_vec() })
            }
            Some((program, _)) => {
                let program = shortened(program);
                self.problem(
                    &at("command"),
                    format!("`{program}` is not the whole path of a program, such as `/usr/local/bin/page`"),
                );
                None
            }
            None => {
                self.problem(&at("command"), "is missing or empty; give a program and its arguments");
                None
            }
        }
    }

    /// A URL that may stand in the text. `http://` for loopback hosts alone, in prod too: a receiver on the same machine.
    fn service_url(&mut self, path: &str, url: &str) -> Option<String> {
        let wrong = check_service_url(url, Environment::Test).err();
        if let Some(message) = wrong {
            let shown = if url.contains(['@', '?']) { "the URL".to_owned() } else { format!("`{}`", shortened(url)) };
            self.problem(path, format!("{shown} {message}"));
        }
        wrong.is_none().then(|| url.to_owned())
    }
}
