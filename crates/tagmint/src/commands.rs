//! One file per command.

pub mod alarms;
pub mod aws;
pub mod bearer;
pub mod certificates;
pub mod check;
pub mod client;
#[cfg(feature = "localaws")]
pub mod demo;
pub mod dev;
pub mod explain;
pub mod init;
mod input;
pub mod keys;
pub mod ledger;
mod ledger_rows;
#[cfg(feature = "localaws")]
pub mod localaws;
pub mod mock_backend;
mod presented;
pub mod prove;
pub mod replay;
pub mod rules;
pub mod serve;
pub mod session;
pub mod shell;
pub mod sweep;
