//! Every target on what is committed for it, and on changes of that: a shallow mistake shows at once. `cargo xtask fuzz` looks deeper.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use tagmint_fuzz::{mutation, mutation::Mutations, targets};

/// How many changed inputs each target runs.
const CHANGES: usize = 4_000;
/// Where the changes begin.
const SEED: u64 = 1;

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}

/// The files of a folder, sorted; none when there is no folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs one input; a panic prints it, so that `cargo xtask fuzz --input FILE TARGET` can take it up.
fn run(target: &str, run: fn(&[u8]), input: &[u8]) {
    if catch_unwind(|| run(input)).is_err() {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}"));
        fs::write(&file, input).unwrap();
        panic!("the target `{target}` fails on {}: {:?}", file.display(), String::from_utf8_lossy(input));
    }
}

fn replay(target: &str, target_run: fn(&[u8]), dictionary: &str) {
    let mut inputs = files(&folder("regressions", target));
    inputs.extend(files(&folder("corpus", target)));
    assert!(!inputs.is_empty(), "put examples into fuzz/corpus/{target}/");
    for input in &inputs {
        run(target, target_run, input);
    }
    let mut words = inputs.clone();
    if !dictionary.is_empty() {
        let file = folder("dictionaries", &format!("{dictionary}.dict"));
        words.extend(mutation::dictionary(&fs::read_to_string(file).unwrap()));
    }
    let mut mutations = Mutations::new(SEED, words);
    for input in inputs.iter().cycle().take(CHANGES) {
        run(target, target_run, &mutations.change(input));
    }
}

macro_rules! replay {
    ($($target:ident: $dictionary:literal,)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), targets::$target::run, $dictionary);
        })*

        #[test]
        fn every_target_has_a_program_and_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            let mut programs: Vec<_> = fs::read_dir(folder("fuzz_targets", "")).unwrap().map(|entry| {
                entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
            }).collect();
            programs.sort();
            assert_eq!(replayed.as_slice(), programs);
        }
    };
}

replay! {
    condition: "iam",
    config: "config",
    explain: "iam",
    issued_secret: "",
    issuer_url: "config",
    json: "jwt",
    jwks: "jwt",
    localaws_request: "http",
    localaws_seed: "iam",
    minted_token: "jwt",
    names: "iam",
    pattern: "iam",
    policy: "iam",
    provider: "iam",
    rules: "config",
    token: "jwt",
    token_claims: "jwt",
    token_mutated: "jwt",
    trusted_issuer: "jwt",
}

#[test]
fn dictionaries_are_read() {
    let words = mutation::dictionary("# \"no\"\n\"a\\x0ab\"\nname=\"x\\\"y\"\n");
    assert_eq!(words, [b"a\nb".to_vec(), b"x\"y".to_vec()]);
}

#[test]
fn changes_are_the_same_at_every_run() {
    let change = || Mutations::new(7, vec![b"word".to_vec()]).change(b"an input");
    assert_eq!(change(), change());
}
