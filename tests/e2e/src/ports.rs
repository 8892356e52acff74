//! Free ports for daemons that can't choose one themselves.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::GuardError;

/// First port that is handed out. The range lies below Linux's ephemeral ports, so that no outgoing
/// connection takes a port between the look and the daemon's own bind.
const FIRST: u16 = 20_000;
/// How many ports the range has.
const COUNT: u16 = 10_000;
/// Locked files of the ports that this process has: no other test process is given one of them. The lock ends with the process.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
/// The next offset to try: two guards of one process never get the same port.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A TCP port on 127.0.0.1 that nothing listens on, and that no other test process is given.
pub fn free_port() -> Result<u16, GuardError> {
    let locks = std::env::temp_dir().join("tagmint-e2e-ports");
    std::fs::create_dir_all(&locks).map_err(|e| GuardError::file("create", &locks, e))?;
    // Test processes that run side by side start at different places.
    let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    let start = u16::try_from(start).unwrap_or_default();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        let path = locks.join(port.to_string());
        let lock = File::create(&path).map_err(|e| GuardError::file("create", &path, e))?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return Ok(port);
        }
    }
    Err(GuardError::NoFreePort { first: FIRST, last: FIRST + COUNT - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_can_be_bound() {
        let (a, b) = (free_port().unwrap(), free_port().unwrap());
        assert_ne!(a, b);
        for port in [a, b] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
