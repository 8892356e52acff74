//! The fuzz targets: builds them for libFuzzer, replays the inputs that are committed, then looks for more.
//!
//! libFuzzer needs code that counts where it went (LLVM's SanitizerCoverage), not a sanitizer, so that stable Rust will do.

mod outcome;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::process::{self, Failure, Notes};
use crate::workspace::Workspace;
use outcome::Finding;

/// The package.
const PACKAGE: &str = "tagmint-fuzz";
/// Where it is built and where what is found goes. Its flags would throw everything in `target` away.
const OUT: &str = "target/fuzz";
/// Seconds for each target when nothing else is asked for.
const SECONDS: u32 = 60;
/// An input that takes longer is a finding, in seconds.
const TIMEOUT: u32 = 10;
/// What `cargo fuzz build --sanitizer none` sets: counters on every edge, and the operands of comparisons.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// Words that libFuzzer puts into inputs, and the targets that they are for.
const DICTIONARIES: &[(&str, &[&str])] = &[
    ("jwt", &["json", "jwks", "minted_token", "token", "token_claims", "token_mutated", "trusted_issuer"]),
    ("iam", &["condition", "explain", "localaws_seed", "names", "pattern", "policy", "provider"]),
    ("config", &["config", "issuer_url", "rules"]),
    ("http", &["localaws_request"]),
];

/// What to do with which targets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Job<'a> {
    /// For how many seconds each target looks for more, beginning with what was found before.
    seconds: u32,
    /// One input to run once, instead.
    input: Option<&'a str>,
    /// The targets; all when empty.
    targets: Vec<&'a str>,
}

impl<'a> Job<'a> {
    /// Reads the arguments after `fuzz`.
    pub(crate) fn parse(args: &[&'a str]) -> Result<Self, String> {
        let mut job = Self { seconds: SECONDS, input: None, targets: Vec::new() };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            let mut value = || args.next().copied().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg {
                "--seconds" => {
                    let text = value()?;
                    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
                    let seconds = seconds.ok_or_else(|| format!("`{text}` is not a number of seconds above 0"))?;
                    job.seconds = seconds;
                }
                "--input" => job.input = Some(value()?),
                _ if arg.starts_with('-') => return Err(format!("`{arg}` is neither --seconds, --input nor a target")),
                target => job.targets.push(target),
            }
        }
        if job.input.is_some() && job.targets.len() != 1 {
            return Err("--input wants the one target that the input is for".to_owned());
        }
        Ok(job)
    }
}

/// The command `cargo xtask fuzz`.
pub(crate) fn run(workspace: &Workspace, job: &Job<'_>) -> Result<Notes, Failure> {
    Fuzz::new(workspace)?.run(job)
}

struct Fuzz<'a> {
    workspace: &'a Workspace,
    /// This machine, as `x86_64-unknown-linux-gnu`. Named, so that flags are not for build scripts.
    host: String,
    out: PathBuf,
}

impl<'a> Fuzz<'a> {
    fn new(workspace: &'a Workspace) -> Result<Self, Failure> {
        let version = process::capture(workspace.cargo(&["-vV"]))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| Failure::new("`cargo -vV` names no host"))?.to_owned();
        Ok(Self { workspace, host, out: workspace.path(OUT) })
    }

    /// `cargo SUBCOMMAND` for the package, with the flags of its targets.
    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = self.workspace.cargo(&[
            subcommand,
            "--profile",
            "fuzz",
            "--package",
            PACKAGE,
            "--features",
            "libfuzzer",
            "--target",
            &self.host,
        ]);
        // Wins over RUSTFLAGS of the environment.
        command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")).env("CARGO_TARGET_DIR", &self.out);
        command
    }

    fn run(&self, job: &Job<'_>) -> Result<Notes, Failure> {
        let all = targets(self.workspace);
        let chosen = choose(&all, &job.targets)?;
        let mut build = self.cargo("build");
        build.args(chosen.iter().flat_map(|target| ["--bin", target]));
        process::run(build)?;
        if let (Some(input), [target]) = (job.input, chosen.as_slice()) {
            make(&self.artifacts(target))?;
            let mut command = self.target(target);
            command.arg(input);
            process::run(command)?;
            return Ok(vec![format!("`{target}` takes {input} without a failure")]);
        }
        let scratch = Scratch::new(self)?;
        let results = self.run_side_by_side(&chosen, job.seconds, &scratch);
        drop(scratch);
        let (mut runs, mut failures) = (0, Vec::new());
        for result in results {
            match result {
                Ok(found) => runs += found,
                Err(failure) => failures.push(failure.to_string()),
            }
        }
        if failures.is_empty() {
            return Ok(vec![format!("{} targets, {} s each, {runs} runs in all", chosen.len(), job.seconds)]);
        }
        let count = failures.len();
        Err(Failure::new(format!("{count} of {} fuzz targets failed\n{}", chosen.len(), failures.join("\n"))))
    }

    /// Runs targets, as many at a time as there are processors. Returns how often each ran.
    fn run_side_by_side(&self, chosen: &[&str], seconds: u32, scratch: &Scratch) -> Vec<Result<u64, Failure>> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(chosen.len());
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.replay_and_search(target, seconds, scratch);
                        results.lock().expect("no worker panics").push(result);
                    }
                });
            }
        });
        results.into_inner().expect("no worker panics")
    }

    /// One target: what is committed, regressions first, then what libFuzzer finds.
    fn replay_and_search(&self, target: &str, seconds: u32, scratch: &Scratch) -> Result<u64, Failure> {
        let folder = |kind: &str| self.workspace.path("fuzz").join(kind).join(target);
        let (regressions, corpus) = (folder("regressions"), folder("corpus"));
        let mut committed = files(&regressions);
        committed.extend(files(&corpus));
        if committed.is_empty() {
            return Err(Failure::new(format!("`{target}` has no input: put examples into fuzz/corpus/{target}/")));
        }
        make(&self.artifacts(target))?;
        let mut replay = self.target(target);
        replay.args(&committed);
        self.to_its_end(target, "replay", replay, scratch)?;

        let mut search = self.target(target);
        search.arg(format!("-max_total_time={seconds}"));
        let found = self.out.join("corpus").join(target);
        make(&found)?;
        if let Some((name, _)) = DICTIONARIES.iter().find(|(_, targets)| targets.contains(&target)) {
            let file = self.workspace.path("fuzz/dictionaries").join(format!("{name}.dict"));
            search.arg(format!("-dict={}", file.display()));
        }
        // libFuzzer adds to the first folder.
        search.args([&found, &corpus]).args(Some(&regressions).filter(|folder| folder.is_dir()));
        let log = self.to_its_end(target, "search", search, scratch)?;
        let statistics = outcome::statistics(&log);
        println!("    {target}: {statistics}");
        Ok(statistics.runs)
    }

    /// The program of a target.
    fn target(&self, target: &str) -> Command {
        let program = self.out.join(&self.host).join("fuzz").join(target);
        let mut command = self.workspace.command(program);
        command
            .arg(format!("-artifact_prefix={}/", self.artifacts(target).display()))
            .arg(format!("-timeout={TIMEOUT}"))
            .args(["-rss_limit_mb=2048", "-print_final_stats=1"]);
        command
    }

    fn artifacts(&self, target: &str) -> PathBuf {
        self.out.join("artifacts").join(target)
    }

    /// Runs a target with its output in a log, which is returned. A failure names the input and how to run it again.
    fn to_its_end(&self, target: &str, what: &str, mut command: Command, scratch: &Scratch) -> Result<String, Failure> {
        let logs = self.out.join("logs");
        make(&logs)?;
        let log = logs.join(format!("{target}.{what}.log"));
        let file = File::create(&log).map_err(|e| Failure::new(format!("could not write {}: {e}", log.display())))?;
        let problem = |e| Failure::new(format!("could not run the fuzz target `{target}`: {e}"));
        let other = file.try_clone().map_err(problem)?;
        command.env("TMPDIR", &scratch.0).stdin(Stdio::null()).stdout(other).stderr(file);
        let status = command.status().map_err(problem)?;
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        if status.success() {
            return Ok(text);
        }
        let (log, status) = (self.workspace.relative(&log), status.to_string());
        let finding = Finding::read(target, &text).at(self.workspace);
        Err(Failure::new(finding.told(&status, &log)))
    }
}

/// A folder in memory, where there is one, for targets that write files: a target that fails leaves them.
struct Scratch(PathBuf);

impl Scratch {
    fn new(fuzz: &Fuzz<'_>) -> Result<Self, Failure> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory } else { &fuzz.out };
        let folder = parent.join(format!("tagmint-fuzz-{}", std::process::id()));
        make(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in memory, or in `target`.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The names of all targets, sorted.
fn targets(workspace: &Workspace) -> Vec<String> {
    let files = files(&workspace.path("fuzz/fuzz_targets")).into_iter();
    files.filter_map(|file| file.file_name()?.to_str()?.strip_suffix(".rs").map(str::to_owned)).collect()
}

/// The targets that were asked for; all when none was.
fn choose<'a>(all: &'a [String], asked: &[&str]) -> Result<Vec<&'a str>, Failure> {
    if asked.is_empty() {
        return Ok(all.iter().map(String::as_str).collect());
    }
    let one = |name: &&str| {
        let found = all.iter().find(|target| target == name);
        let unknown = || Failure::new(format!("`{name}` is not a fuzz target; there are: {}", all.join(" ")));
        found.map(String::as_str).ok_or_else(unknown)
    };
    asked.iter().map(one).collect()
}

/// The files of a folder, sorted; none when it does not exist.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|e| Failure::new(format!("could not make {}: {e}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_read() {
        let job = Job::parse(&["--seconds", "600", "token", "json"]);
        assert_eq!(job, Ok(Job { seconds: 600, input: None, targets: vec!["token", "json"] }));
        let job = Job::parse(&["--input", "x", "token"]);
        assert_eq!(job, Ok(Job { seconds: SECONDS, input: Some("x"), targets: vec!["token"] }));
        for (args, problem) in [
            (&["--seconds"][..], "`--seconds` needs a value"),
            (&["--seconds", "0"], "`0` is not a number of seconds above 0"),
            (&["--input", "x"], "--input wants the one target that the input is for"),
            (&["--fast"], "`--fast` is neither --seconds, --input nor a target"),
        ] {
            assert_eq!(Job::parse(args), Err(problem.to_owned()));
        }
    }

    #[test]
    fn every_target_is_built_has_inputs_and_known_words() {
        let workspace = Workspace::find();
        let manifest = crate::sizes::read(&workspace.path("fuzz/Cargo.toml")).unwrap();
        let all = targets(&workspace);
        assert!(!all.is_empty());
        for target in &all {
            assert!(manifest.contains(&format!("\npath = \"fuzz_targets/{target}.rs\"\n")), "{target}");
            assert!(!files(&workspace.path("fuzz/corpus").join(target)).is_empty(), "{target}");
        }
        for (dictionary, targets) in DICTIONARIES {
            assert!(workspace.path("fuzz/dictionaries").join(format!("{dictionary}.dict")).is_file(), "{dictionary}");
            assert!(targets.iter().all(|target| all.iter().any(|known| known == target)), "{dictionary}");
        }
        assert_eq!(choose(&all, &[]).unwrap().len(), all.len());
        let problem = choose(&all, &["tokens"]).unwrap_err().to_string();
        assert!(problem.starts_with("`tokens` is not a fuzz target; there are: "), "{problem}");
    }
}
