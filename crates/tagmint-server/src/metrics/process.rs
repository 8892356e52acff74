//! Figures of the process, from `/proc`, under the names that every Prometheus client has for them.

use std::{fmt::Write as _, fs};

/// Clock ticks a second in `/proc`: the kernel gives times to programs in this unit on every machine that Tagmint is built for.
const TICKS: f64 = 100.0;

/// The kernel's figures for the process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Process {
    cpu_seconds: Option<f64>,
    start_time: Option<f64>,
    threads: Option<f64>,
    resident: Option<f64>,
    virtual_memory: Option<f64>,
    open_files: Option<f64>,
    most_files: Option<f64>,
}

/// The figures as Prometheus text. A figure that the system does not report is left out.
pub(super) fn render() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut process = Process::parse(
        &read("/proc/self/stat"),
        &read("/proc/stat"),
        &read("/proc/self/status"),
        &read("/proc/self/limits"),
    );
    // The folder is open while it is read.
    process.open_files = fs::read_dir("/proc/self/fd").ok().map(|files| number(files.count().saturating_sub(1)));
    process.text()
}

#[expect(clippy::cast_precision_loss, reason = "counts of files are far below 2^52")]
const fn number(count: usize) -> f64 {
    count as f64
}

impl Process {
    /// From `/proc/self/stat`, `/proc/stat`, `/proc/self/status` and `/proc/self/limits` (proc(5)).
    fn parse(stat: &str, system: &str, status: &str, limits: &str) -> Self {
        // After the program's name, which may hold anything: field 3 is the first.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |place: usize| fields.get(place - 3)?.parse::<f64>().ok();
        let of_line = |text: &str, name: &str, place: usize| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(place)?.parse::<f64>().ok()
        };
        let kibibytes = |name: &str| of_line(status, name, 0).map(|kib| kib * 1_024.0);
        let boot = of_line(system, "btime", 0);
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
            start_time: boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS),
            threads: field(20),
            resident: kibibytes("VmRSS:"),
            virtual_memory: kibibytes("VmSize:"),
            open_files: None,
            most_files: of_line(limits, "Max open files", 0),
        }
    }

    fn text(&self) -> String {
        let figures = [
            ("process_cpu_seconds_total", self.cpu_seconds),
            ("process_resident_memory_bytes", self.resident),
            ("process_virtual_memory_bytes", self.virtual_memory),
            ("process_open_fds", self.open_files),
            ("process_max_fds", self.most_files),
            ("process_threads", self.threads),
            ("process_start_time_seconds", self.start_time),
        ];
        let mut text = String::new();
        for (name, value) in figures {
            let described = super::CATALOGUE.iter().find(|(known, ..)| *known == name);
            if let (Some(value), Some((_, kind, meaning))) = (value, described) {
                // A string takes any text.
                let _ = write!(text, "# HELP {name} {meaning}\n# TYPE {name} {kind}\n{name} {value}\n\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 7 0 12345 1000000 300 18446744073709551615";
        let process = Process::parse(
            stat,
            "cpu  1 2 3\nbtime 1790000000\nprocesses 5\n",
            "Name:\ttagmint\nVmSize:\t    2048 kB\nVmRSS:\t     100 kB\n",
            "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n",
        );
        let expected = Process {
            cpu_seconds: Some(2.0),
            start_time: Some(1_790_000_123.45),
            threads: Some(7.0),
            resident: Some(102_400.0),
            virtual_memory: Some(2_097_152.0),
            open_files: None,
            most_files: Some(1_024.0),
        };
        assert_eq!(process, expected);
    }

    #[test]
    fn what_it_does_not_say_is_left_out() {
        assert_eq!(Process::parse("", "", "", ""), Process::default());
        assert_eq!(
            Process::parse("1 (x) S", "btime", "VmRSS: many kB", "Max open files unlimited"),
            Process::default()
        );
        assert_eq!(Process::default().text(), "");
    }

    #[test]
    fn this_process_has_them_all() {
        let text = render();
        for name in
            ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds", "threads"]
        {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("process_{name} ")));
            let value: f64 = line.unwrap_or_else(|| panic!("process_{name}: {text}")).parse().unwrap();
            assert!(value > 0.0 || name == "cpu_seconds_total", "{text}");
        }
    }
}
