//! The machine that measures, as far as the figures depend on it.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::error::BenchError;

/// How often the disk is asked to sync.
const SYNCS: usize = 100;
/// What is written before each sync: a page of the write-ahead log.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// The magic number of tmpfs (statfs(2)).
const TMPFS: u32 = 0x0102_1994;

/// The machine.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// How many cores there are.
    pub(crate) cores: usize,
    /// The kernel.
    pub(crate) kernel: String,
    /// Microseconds of a synced write of one page to the databases' folder: the median.
    pub(crate) sync_micros: f64,
}

impl Machine {
    /// Looks at the machine and at the folder for the databases, which must be on a disk.
    pub(crate) fn look(folder: &Path) -> Result<Self, BenchError> {
        let kind =
            rustix::fs::statfs(folder).map_err(|error| BenchError::file("look at", folder)(error.into()))?.f_type;
        if u32::try_from(kind).is_ok_and(|kind| kind == TMPFS) {
            let text = format!(
                "{} is in memory: the ledger would not be durable; name a folder on a disk with --dir",
                folder.display()
            );
            return Err(BenchError::wrong(text));
        }
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            processor: processor.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            kernel: kernel.trim().to_owned(),
            sync_micros: sync_time(folder)?.as_secs_f64() * 1e6,
        })
    }
}

fn sync_time(folder: &Path) -> Result<Duration, BenchError> {
    let path = folder.join("sync");
    let failed = |source| BenchError::file("write and sync", &path)(source);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&PAGE).and_then(|()| file.sync_data()).map_err(failed)?;
        times.push(start.elapsed());
    }
    drop(file);
    fs::remove_file(&path).map_err(failed)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_memory_is_refused_and_one_on_a_disk_is_timed() {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            let refused = Machine::look(memory).unwrap_err().to_string();
            assert!(refused.starts_with("/dev/shm is in memory"), "{refused}");
        }
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let machine = Machine::look(folder.path()).unwrap();
        assert!(machine.cores > 0 && machine.sync_micros > 0.0, "{machine:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
