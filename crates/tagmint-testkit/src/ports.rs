//! Ports for servers that cannot take any free one, or that need the same one after a restart.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

/// First port of the range. It lies below Linux's ephemeral ports, so that no outgoing connection takes a port before the server binds it.
const FIRST: u16 = 20_000;
/// Number of ports in the range.
const COUNT: u16 = 10_000;
/// Locked files of the ports that this process reserved. The locks end with the process.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());
/// The next offset to try.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Reserves a TCP port on 127.0.0.1 until this process ends. Nothing listens on it, and no other test process reserves it.
///
/// # Errors
/// If a lock file cannot be made, or no port of the range is free.
pub fn free_port() -> io::Result<u16> {
    let locks = std::env::temp_dir().join("tagmint-test-ports");
    fs::create_dir_all(&locks)?;
    // Test processes that run side by side start at different places.
    let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    let start = u16::try_from(start).unwrap_or_default();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        let lock = File::create(locks.join(port.to_string()))?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return Ok(port);
        }
    }
    Err(io::Error::other(format!("no free TCP port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT - 1)))
}

/// Reserves ports for `tagmint dev --dir DIR`, if `args` are of that form. `dev` uses the ports that the folder's configuration
/// names, also after a restart, when another test could have taken a port that `dev` chose itself. An existing configuration stays.
///
/// # Errors
/// If a port cannot be reserved or the folder cannot be written.
pub fn reserve_for_dev<A: AsRef<OsStr>>(args: &[A]) -> io::Result<()> {
    let dir = args.iter().skip_while(|arg| arg.as_ref() != "--dir").nth(1);
    match (args.first(), dir) {
        (Some(command), Some(dir)) if command.as_ref() == "dev" => write_ports(Path::new(dir)),
        _ => Ok(()),
    }
}

fn write_ports(dir: &Path) -> io::Result<()> {
    let config = dir.join("tagmint.toml");
    if config.exists() {
        return Ok(());
    }
    let (public, admin, backend) = (free_port()?, free_port()?, free_port()?);
    fs::create_dir_all(dir)?;
    let text = format!(
        "[listen]\npublic = \"127.0.0.1:{public}\"\nadmin = \"127.0.0.1:{admin}\"\n\n[session_backend]\nurl = \"http://127.0.0.1:{backend}\"\n"
    );
    fs::write(config, text)
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

    #[test]
    fn a_folder_that_has_a_configuration_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("dev");
        let args = ["dev".as_ref(), "--dir".as_ref(), dir.as_os_str()];
        reserve_for_dev(&args).unwrap();
        let first = fs::read_to_string(dir.join("tagmint.toml")).unwrap();
        assert!(first.contains("public = \"127.0.0.1:2"), "{first}");
        reserve_for_dev(&args).unwrap();
        assert_eq!(fs::read_to_string(dir.join("tagmint.toml")).unwrap(), first);
    }
}
