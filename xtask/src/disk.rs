//! Whether the disk has room for what the steps build. A full disk ends the compiler and the linker with errors that name anything but it.

use crate::process::{self, Failure, Notes};
use crate::report::Mode;
use crate::workspace::Workspace;

/// One mebibyte, in which `df` and `du` are asked.
const MIB_A_GIB: u64 = 1024;
/// What a full run may write in a fresh checkout, with room to spare.
const FULL_MIB: u64 = 14 * MIB_A_GIB;
/// The same without the end-to-end tests.
const FAST_MIB: u64 = 7 * MIB_A_GIB;

/// Fails where the steps would fill the disk.
pub(crate) fn check(workspace: &Workspace, mode: Mode) -> Result<Notes, Failure> {
    let wanted = match mode {
        Mode::Full => FULL_MIB,
        Mode::Fast => FAST_MIB,
    };
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.path("target"), Into::into);
    let mut du = workspace.command("du");
    du.args(["--summarize", "--block-size=1M"]).arg(&target);
    // No target directory yet: nothing is built.
    let built = process::capture(du).map_or(0, |text| first_number(&text).unwrap_or(0));
    let mut df = workspace.command("df");
    df.args(["--output=avail", "--block-size=1M"]).arg(if target.exists() { &target } else { workspace.root() });
    let text = process::capture(df)?;
    let free = first_number(&text).ok_or_else(|| Failure::new(format!("`df` answers what is no number: {text}")))?;
    verdict(wanted, built, free)
}

/// The first whole number in a program's answer; `df` puts a heading before it.
fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().find_map(|word| word.parse().ok())
}

fn verdict(wanted: u64, built: u64, free: u64) -> Result<Notes, Failure> {
    let more = wanted.saturating_sub(built);
    if free < more {
        let text = format!("the disk has {free} MiB free, and this run writes up to {more} MiB: make room first");
        return Err(Failure::new(text));
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading_of_df_is_no_number() {
        assert_eq!(first_number("Avail\n 57123\n"), Some(57123));
        assert_eq!(first_number("4915\t/somewhere/target\n"), Some(4915));
        assert_eq!(first_number("Avail\n"), None);
    }

    #[test]
    fn what_is_built_already_needs_no_room() {
        assert_eq!(verdict(100, 0, 100), Ok(Vec::new()));
        assert_eq!(verdict(100, 60, 40), Ok(Vec::new()));
        let failure = verdict(100, 60, 39).unwrap_err().to_string();
        assert_eq!(failure, "the disk has 39 MiB free, and this run writes up to 40 MiB: make room first");
    }
}
