//! Free ports for daemons that can't choose one themselves.

use crate::error::GuardError;

/// A TCP port on 127.0.0.1 that nothing listens on, and that no other test process is given.
pub fn free_port() -> Result<u16, GuardError> {
    tagmint_testkit::ports::free_port().map_err(GuardError::NoPort)
}
