//! What goes into people's pipelines (`deploy/ci`), run as a GitHub runner and a GitLab runner would, and the clients that they have already,
//! unchanged. The platforms are those of the testkit, the broker is `tagmint serve` over TLS, and AWS is `tagmint localaws`.

mod action;
mod anonymous_minting;
mod assume;
mod cleanup;
mod clients;
mod commands;
mod expression;
mod gitlab;
mod guides;
mod job;
mod lint;
mod namespaces;
mod nightly;
mod pipeline;
mod refusals;
mod replay;
mod report;
mod runner;
mod stage;
mod workflows;
mod yaml;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;
