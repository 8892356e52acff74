//! Fuzz targets for every parser that reads a stranger's bytes.
//!
//! `cargo xtask test` runs each target on its committed inputs and on a fixed number of mutations of them (`tests/replay.rs`).
//! `cargo xtask fuzz` builds the programs in `fuzz_targets/` for libFuzzer and looks for more.
//!
//! An input that has several parts is text, with a line `---` between them ([`sections`]): people can write and read such inputs.
//!
//! | module | holds |
//! |---|---|
//! | [`targets`] | the targets |
//! | [`mutation`] | changed inputs, the same ones at every run |
//! | [`world`] | one issuer, one role, one time, and a key that everybody knows |
//! | [`mod@reference`] | definitions without cleverness, to compare with |

pub mod mutation;
pub mod reference;
pub mod targets;
pub mod world;

/// What separates the parts of an input.
const SEPARATOR: &str = "\n---\n";

/// The parts of an input; those that it lacks are empty. None when it isn't UTF-8.
pub fn sections<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let mut parts = std::str::from_utf8(data).ok()?.splitn(N, SEPARATOR);
    Some(std::array::from_fn(|_| parts.next().unwrap_or_default()))
}

/// The lines of a part; an empty part has none.
pub fn lines(part: &str) -> Vec<String> {
    if part.is_empty() { Vec::new() } else { part.split('\n').map(str::to_owned).collect() }
}

/// The lines of a part as pairs: `KEY=VALUE`. A line without `=` is a key with an empty value.
pub fn pairs(part: &str) -> Vec<(String, String)> {
    let pair = |line: String| match line.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (line, String::new()),
    };
    lines(part).into_iter().map(pair).collect()
}
