//! Who is told of alarms, as configured.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;
use tagmint_aws::{
    failure::Failure,
    sns::{Publication, Topic},
};
use tagmint_core::{
    clock::{Clock, SystemClock},
    outbound::Outbound,
};
use tagmint_server::alarms::sinks::{AlarmSink, CommandSink, SinkError, WebhookSink};

use crate::{
    config::{AlarmSinkConfig, AlarmSinkKind, Config, files},
    error::CliError,
    surroundings,
};

/// The sinks, in the order of the configuration. Their files are read.
pub fn all(config: &Config, outbound: &Outbound) -> Result<Vec<Arc<dyn AlarmSink>>, CliError> {
    config.alarm_sinks.iter().map(|config| sink(config, outbound)).collect()
}

fn sink(config: &AlarmSinkConfig, outbound: &Outbound) -> Result<Arc<dyn AlarmSink>, CliError> {
    let (name, timeout) = (config.name.clone(), config.timeout);
    let ca = files::sink_ca(config)?;
    let no_client = |source: reqwest::Error| {
        let mut cause: &dyn std::error::Error = &source;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        CliError::SinkClient { name: config.name.clone(), cause: cause.to_string() }
    };
    Ok(match &config.kind {
        AlarmSinkKind::Webhook { url } => {
            let url = files::webhook_url(url, surroundings::credentials_directory().as_deref())?;
            Arc::new(WebhookSink::new(name, url, timeout, ca.as_deref(), outbound).map_err(no_client)?)
        }
        AlarmSinkKind::Sns { topic_arn, region, endpoint } => {
            let topic =
                Topic::new(topic_arn.clone(), region.clone(), endpoint.clone(), timeout, ca.as_deref(), outbound);
            Arc::new(SnsSink { name, topic: topic.map_err(no_client)?, clock: Arc::new(SystemClock) })
        }
        AlarmSinkKind::Command { program, arguments } => {
            let arguments = arguments.iter().map(Into::into).collect();
            let environment = surroundings::variables(&CommandSink::VARIABLES);
            Arc::new(CommandSink::new(name, program.into(), arguments, timeout, environment))
        }
    })
}

/// A topic of Amazon SNS. Subscribers get the notice's JSON; mails have what it is about as their subject.
#[derive(Debug)]
struct SnsSink {
    name: String,
    topic: Topic,
    clock: Arc<dyn Clock>,
}

impl SnsSink {
    async fn publish(&self, body: &Value) -> Result<(), SinkError> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let state = if text("state") == "firing" { text("severity") } else { text("state") };
        let subject = format!("Tagmint {} [{state}] {}", text("environment"), text("alarm"));
        let message = serde_json::to_string_pretty(body).unwrap_or_default();
        let publication = Publication { subject: &subject, message: &message };
        match self.topic.publish(publication, self.clock.now()).await {
            Ok(_) => Ok(()),
            Err(failure @ Failure::Unreachable { .. }) => Err(SinkError::Unreachable(failure.to_string())),
            Err(failure) => Err(SinkError::Refused(failure.to_string())),
        }
    }
}

impl AlarmSink for SnsSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, body: &'a Value) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.publish(body))
    }
}
