use std::os::unix::fs::{PermissionsExt as _, symlink};

use tagmint_core::clock::{Clock, SystemClock};
use tempfile::TempDir;

use super::*;
use crate::x509::{LocalCertificates, local_certificates};

fn made() -> LocalCertificates {
    local_certificates(SystemClock.now(), 1).unwrap()
}

struct Folder(TempDir);

impl Folder {
    /// With a pair in it.
    fn new() -> (Self, CertificateFiles) {
        let folder = Self(tempfile::tempdir().unwrap());
        let first = made();
        folder.write("cert.pem", &first.certificate_pem);
        folder.write("key.pem", &first.key_pem);
        let files = folder.open();
        (folder, files)
    }

    fn open(&self) -> CertificateFiles {
        let read = |certificate: &Path, key: &Path| -> Result<Certificate, ReadError> {
            if fs::metadata(key)?.permissions().mode() & 0o007 != 0 {
                return Err("others can read the key".into());
            }
            Ok(Certificate::from_files(certificate, key)?)
        };
        CertificateFiles::open(self.path("cert.pem"), self.path("key.pem"), read).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// In place.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o640)).unwrap();
    }

    /// By another file of that name.
    fn replace(&self, name: &str, text: &str) {
        self.write("new", text);
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }
}

fn serial(files: &CertificateFiles) -> String {
    files.served().current().unwrap().facts().serial.clone()
}

/// The changed pair is taken up at the second look, and is another than before.
fn is_taken_up(files: &CertificateFiles, before: &str) {
    assert!(matches!(files.look(), Seen::Changing), "not before it has stood still");
    assert_eq!(serial(files), before);
    let seen = files.look();
    assert!(matches!(seen, Seen::TakenUp(_)), "{seen:?}");
    assert_ne!(serial(files), before);
    assert!(matches!(files.look(), Seen::Unchanged));
}

#[test]
fn a_pair_that_is_replaced_is_taken_up() {
    let (folder, files) = Folder::new();
    let before = serial(&files);
    assert!(matches!(files.look(), Seen::Unchanged));
    let renewed = made();
    folder.replace("cert.pem", &renewed.certificate_pem);
    folder.replace("key.pem", &renewed.key_pem);
    is_taken_up(&files, &before);
}

#[test]
fn a_pair_that_is_written_in_place_is_taken_up_the_key_first_or_last() {
    let (folder, files) = Folder::new();
    for key_first in [true, false] {
        let before = serial(&files);
        let renewed = made();
        let mut halves = [("key.pem", renewed.key_pem.as_str()), ("cert.pem", renewed.certificate_pem.as_str())];
        if !key_first {
            halves.reverse();
        }
        folder.write(halves[0].0, halves[0].1);
        assert!(matches!(files.look(), Seen::Changing));
        let seen = files.look();
        assert!(matches!(seen, Seen::Unusable { new: true, .. }), "half a pair: {seen:?}");
        for _ in 0..3 {
            assert!(matches!(files.look(), Seen::Unusable { new: false, .. }), "said once");
        }
        assert_eq!(serial(&files), before, "the old one stays");
        folder.write(halves[1].0, halves[1].1);
        is_taken_up(&files, &before);
    }
}

#[test]
fn links_that_are_turned_are_taken_up() {
    let (folder, _) = Folder::new();
    for (number, pair) in [made(), made()].into_iter().enumerate() {
        folder.write(&format!("cert{number}"), &pair.certificate_pem);
        folder.write(&format!("key{number}"), &pair.key_pem);
    }
    let turn = |number: usize| {
        for name in ["cert", "key"] {
            let link = folder.path(&format!("{name}.pem"));
            fs::remove_file(&link).unwrap();
            symlink(format!("{name}{number}"), link).unwrap();
        }
    };
    turn(0);
    let files = folder.open();
    let before = serial(&files);
    turn(1);
    is_taken_up(&files, &before);
}

#[test]
fn broken_files_are_said_once_and_mended_ones_are_taken_up() {
    let (folder, files) = Folder::new();
    let before = serial(&files);
    let renewed = made();
    folder.write("key.pem", &renewed.key_pem);
    for broken in ["", "no pem", &renewed.certificate_pem[..renewed.certificate_pem.len() / 2]] {
        folder.write("cert.pem", broken);
        assert!(matches!(files.look(), Seen::Changing));
        let news: Vec<_> = (0..3).map(|_| matches!(files.look(), Seen::Unusable { new: true, .. })).collect();
        assert_eq!(news, [true, false, false], "{broken}");
    }
    fs::remove_file(folder.path("cert.pem")).unwrap();
    assert!(matches!((files.look(), files.look()), (Seen::Changing, Seen::Unusable { new: true, .. })));
    assert_eq!(serial(&files), before);
    folder.write("cert.pem", &renewed.certificate_pem);
    is_taken_up(&files, &before);

    // A key that others can read is no better, and `chmod` mends it.
    let before = serial(&files);
    let renewed = made();
    folder.replace("cert.pem", &renewed.certificate_pem);
    folder.replace("key.pem", &renewed.key_pem);
    fs::set_permissions(folder.path("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!((files.look(), files.look()), (Seen::Changing, Seen::Unusable { new: true, .. })));
    fs::set_permissions(folder.path("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    is_taken_up(&files, &before);
}

#[test]
fn a_reload_does_not_wait_and_says_every_time_what_is_wrong() {
    let (folder, files) = Folder::new();
    let before = serial(&files);
    let renewed = made();
    folder.write("cert.pem", &renewed.certificate_pem);
    assert!(matches!(files.reload(), Seen::Unusable { .. }));
    folder.write("key.pem", &renewed.key_pem);
    assert!(matches!(files.reload(), Seen::TakenUp(_)));
    assert_ne!(serial(&files), before);
    assert!(matches!(files.look(), Seen::Unchanged));
    assert!(matches!(files.reload(), Seen::TakenUp(_)), "asked for, it reads what has not changed");
}

#[tokio::test(start_paused = true)]
async fn the_watch_looks_by_itself() {
    let (folder, files) = Folder::new();
    let files = Arc::new(files);
    let before = serial(&files);
    let figures = CertificateFileFigures { taken_up: Counter::noop(), unusable: Counter::noop() };
    let watch = tokio::spawn(Arc::clone(&files).watch(Duration::from_secs(10), figures));
    let renewed = made();
    folder.replace("cert.pem", &renewed.certificate_pem);
    folder.replace("key.pem", &renewed.key_pem);
    for _ in 0..100 {
        if serial(&files) != before {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_ne!(serial(&files), before);
    watch.abort();
}
