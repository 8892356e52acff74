//! The program `tagmint`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tagmint::run(std::env::args_os())
}
