//! The unix socket for a proxy on this machine: made with its mode before anybody can connect, and never taken from a process that lives.

use std::{
    fs::{self, File},
    io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};

use super::BACKLOG;
use crate::{config::UnixSocket, surroundings};

/// Makes the socket, in place of one that a dead process left behind.
///
/// # Errors
///
/// When a process listens there, when there is another kind of file, when the group is unknown, or when the system refuses.
pub(super) fn listen_on(socket: &UnixSocket) -> io::Result<UnixListener> {
    let UnixSocket { path, mode, group } = socket;
    let group = group.as_deref().map(surroundings::group).transpose()?;
    // Of two that start at once only one may find the old socket dead.
    let mut lock = path.clone().into_os_string();
    lock.push(".lock");
    let lock = File::create(PathBuf::from(lock))?;
    lock.lock()?;
    remove_dead(path)?;
    let made = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&made, &SocketAddrUnix::new(path.as_path())?)?;
    // Nobody can connect before it listens.
    fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
    if let Some(group) = group {
        chown(path, None, Some(group))
            .map_err(|error| io::Error::new(error.kind(), format!("its group cannot be set to {group}: {error}")))?;
    }
    listen(&made, BACKLOG)?;
    Ok(made.into())
}

fn remove_dead(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of that name that is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(folder: &Path) -> UnixSocket {
        UnixSocket { path: folder.join("prod.sock"), mode: 0o660, group: None }
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(folder.path());
        let first = listen_on(&socket).unwrap();
        let mode = fs::metadata(&socket.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o660);
        let refused = listen_on(&socket).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{refused}");
        // A process that was killed leaves it like this.
        drop(first);
        let _second = listen_on(&socket).unwrap();
        UnixStream::connect(&socket.path).unwrap();
    }

    #[test]
    fn another_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(folder.path());
        fs::write(&socket.path, "something").unwrap();
        assert_eq!(listen_on(&socket).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&socket.path).unwrap(), "something");
    }

    #[test]
    fn an_unknown_group_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixSocket { group: Some("no-such-group".to_owned()), ..socket(folder.path()) };
        let error = listen_on(&socket).unwrap_err().to_string();
        assert!(error.contains("no-such-group"), "{error}");
    }
}
