//! CPU time as the operating system counts it: user and system together.

use std::{fs, time::Duration};

use rustix::{
    param::clock_ticks_per_second,
    time::{ClockId, clock_gettime},
};

use crate::error::BenchError;

/// Fields of `/proc/PID/stat` after the name in parentheses, which may hold blanks (proc_pid_stat(5)): `state` is the first.
const PPID: usize = 1;
const UTIME: usize = 11;
const STIME: usize = 12;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

/// CPU time of the thread that asks.
pub(crate) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// CPU time of a process with all its threads, those that have ended included, and of its living children and theirs. The kernel tells it
/// in ticks of 10 ms.
pub(crate) fn of_process(pid: u32) -> Result<Duration, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(BenchError::io(format!("read {path}")))?;
    let mut time = ticks(&stat(&text), &[UTIME, STIME]);
    for child in children(pid) {
        // One that has just ended is not counted.
        time += of_process(child).unwrap_or_default();
    }
    Ok(time)
}

/// CPU time of this process, and of its children that have ended.
fn of_us() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&stat(&text), &[UTIME, STIME, CUTIME, CSTIME])
}

/// What all processes of the machine have used, and what a hypervisor gave to others.
fn of_machine() -> Duration {
    // cpu user nice system idle iowait irq softirq steal … (proc_stat(5))
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    ticks(&fields, &[0, 1, 2, 5, 6, 7])
}

/// The numbers of a `stat` file; `state` counts as 0.
fn stat(text: &str) -> Vec<u64> {
    let after_name = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    after_name.split_ascii_whitespace().map(|field| field.parse().unwrap_or_default()).collect()
}

fn ticks(fields: &[u64], wanted: &[usize]) -> Duration {
    let sum: u64 = wanted.iter().filter_map(|index| fields.get(*index)).sum();
    Duration::from_millis(sum * 1000 / clock_ticks_per_second().max(1))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent =
        |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|text| stat(&text).get(PPID).copied());
    pids.filter(|child| parent(*child) == Some(pid.into())).collect()
}

/// The state of the machine's CPU times at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    at: std::time::Instant,
    server: Duration,
    us: Duration,
    machine: Duration,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// By the clock on the wall.
    pub(crate) wall: Duration,
    /// By the server.
    pub(crate) server: Duration,
    /// By programs that have nothing to do with the measurement.
    pub(crate) others: Duration,
}

impl Reading {
    /// Reads the times of a server.
    pub(crate) fn take(server: u32) -> Result<Self, BenchError> {
        Ok(Self { at: std::time::Instant::now(), server: of_process(server)?, us: of_us(), machine: of_machine() })
    }

    /// What has been spent since.
    pub(crate) fn since(self, earlier: Self) -> Spent {
        let server = self.server.saturating_sub(earlier.server);
        let us = self.us.saturating_sub(earlier.us);
        Spent {
            wall: self.at.duration_since(earlier.at),
            server,
            others: self.machine.saturating_sub(earlier.machine).saturating_sub(server + us),
        }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.wall += more.wall;
        self.server += more.server;
        self.others += more.others;
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let fields = stat("7 (a) b (c) S 5 7 7 0 -1 0 1 2 3 4 120 30 8 9 20 0");
        assert_eq!((fields[PPID], fields[UTIME], fields[STIME], fields[CUTIME], fields[CSTIME]), (5, 120, 30, 8, 9));
    }

    #[test]
    fn work_is_counted_for_the_thread_the_process_and_the_parent() {
        let (thread, before) = (of_this_thread(), Reading::take(std::process::id()).unwrap());
        let mut child = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let enough = thread + Duration::from_millis(200);
        while of_this_thread() < enough {
            std::hint::spin_loop();
        }
        let tree = of_process(std::process::id()).unwrap();
        let child_time = of_process(child.id()).unwrap();
        let spent = Reading::take(std::process::id()).unwrap().since(before);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(child_time > Duration::ZERO && tree > child_time, "{tree:?} {child_time:?}");
        assert!(spent.server >= Duration::from_millis(190) && spent.wall >= Duration::from_millis(200), "{spent:?}");
    }
}
