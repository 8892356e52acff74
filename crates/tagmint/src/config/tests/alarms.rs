//! `[alarms]` and `[[alarm_sink]]`.

use std::time::Duration;

use jiff::SignedDuration;

use super::{GOOD, parse, problems};
use crate::config::{AlarmSinkKind, SecretSource, WebhookUrl};

#[test]
fn sinks_are_read() {
    let config = parse(GOOD).unwrap();
    assert_eq!((config.notices.after, config.alarm_sinks.len()), (SignedDuration::from_mins(2), 0));
    let text = format!(
        "{GOOD}\n[alarms]\nafter = \"0s\"\nremind_every = \"1h\"\n\
         [[alarm_sink]]\nname = \"slack\"\nkind = \"webhook\"\nurl_file = \"slack-url\"\n\
         [[alarm_sink]]\nname = \"plain\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9093/hook\"\ntimeout = \"3s\"\n\
         [[alarm_sink]]\nname = \"topic\"\nkind = \"sns\"\ntopic_arn = \"arn:aws:sns:eu-west-1:123456789012:alarms\"\nca_file = \"ca.pem\"\n\
         [[alarm_sink]]\nname = \"page\"\nkind = \"command\"\ncommand = [\"/bin/page\", \"--urgent\"]\n"
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.notices.after, SignedDuration::ZERO);
    let [slack, plain, topic, page] = config.alarm_sinks.as_slice() else { panic!("{:?}", config.alarm_sinks) };
    let secret = WebhookUrl::Secret(SecretSource::File("/etc/tagmint/slack-url".into()));
    assert_eq!(slack.kind, AlarmSinkKind::Webhook { url: secret });
    let url = WebhookUrl::Plain("http://127.0.0.1:9093/hook".to_owned());
    assert_eq!((&plain.kind, plain.timeout), (&AlarmSinkKind::Webhook { url }, Duration::from_secs(3)));
    assert!(matches!(&topic.kind, AlarmSinkKind::Sns { region, endpoint: None, .. } if region == "eu-west-1"));
    assert_eq!(topic.ca_file.as_deref(), Some("/etc/tagmint/ca.pem".as_ref()));
    let program = AlarmSinkKind::Command { program: "/bin/page".into(), arguments: vec!["--urgent".to_owned()] };
    assert_eq!((&page.kind, page.timeout), (&program, Duration::from_secs(10)));
}

#[test]
fn what_is_wrong_with_sinks_is_named() {
    let with = |tables: &str| problems(&[("[[rule]]", &format!("{tables}\n[[rule]]"))]);
    let sink = |keys: &str| with(&format!("[[alarm_sink]]\nname = \"a\"\n{keys}"));
    insta::assert_snapshot!(
        [
            with("[alarms]\nafter = \"2h\"\nremind_every = \"1m\""),
            with("[[alarm_sink]]\nname = \"On Call\"\nkind = \"command\"\ncommand = [\"page\"]"),
            sink("kind = \"pager\""),
            sink("kind = \"webhook\""),
            sink("kind = \"webhook\"\nurl = \"https://a.example/x\"\nurl_file = \"x\""),
            sink("kind = \"webhook\"\nurl = \"http://a.example/x\""),
            sink("kind = \"webhook\"\nurl = \"https://a.example/x?token=very-secret\""),
            sink("kind = \"webhook\"\nurl_file = \"credential:../x\""),
            sink("kind = \"webhook\"\nurl = \"https://a.example/x\"\ntopic_arn = \"x\"\ncommand = []"),
            sink("kind = \"sns\""),
            sink("kind = \"sns\"\ntopic_arn = \"arn:aws:sqs:eu-west-1:123456789012:alarms\""),
            sink("kind = \"sns\"\ntopic_arn = \"arn:aws:sns:eu-west-1:123456789012:alarms\"\nregion = \"Europe\""),
            sink("kind = \"command\"\ncommand = []"),
            sink("kind = \"command\"\ncommand = [\"/bin/page\"]\ntimeout = \"2m\"\nurl = \"https://a.example\""),
            sink("kind = \"command\"\ncommand = [\"/bin/a\"]\n[[alarm_sink]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"/bin/b\"]"),
        ]
        .join("\n")
    );
}
