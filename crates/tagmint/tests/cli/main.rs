//! The built binary, as its users run it.

mod admin;
mod bearers;
mod client;
mod dev;
mod exit_codes;
mod explain;
mod guides;
mod init;
mod isolation;
mod localaws;
mod monitoring;
mod process;
mod prove;
mod reach;
mod reload;
mod replay;
mod rules;
mod rules_stage;
mod serve;
mod session_backend;
