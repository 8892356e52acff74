//! Where notices go.

mod command;
mod webhook;

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;

pub use self::{command::CommandSink, webhook::WebhookSink};

/// Why a notice did not arrive. Holds no secret: the URL of a webhook is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Nobody is there.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It was there and did not take it.
    #[error("it did not take the notice: {0}")]
    Refused(String),
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs_f32())]
    Late(Duration),
}

/// Takes notices. A sink tries once; who calls it tries again.
pub trait AlarmSink: Send + Sync + fmt::Debug {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Delivers a notice, as `tagmint_core::alarm::Notice::body` makes it.
    fn deliver<'a>(&'a self, body: &'a Value) -> BoxFuture<'a, Result<(), SinkError>>;
}
