//! The files of the package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::stamp::Stamp;
use super::{licenses, on};
use crate::process::{self, Failure};
use crate::workspace::Workspace;

/// Folders of the checkout whose files are taken as they are, and where to.
const COPIED: &[(&str, &str)] = &[
    ("systemd", "usr/lib/systemd/system"),
    ("deploy/examples", "usr/share/doc/tagmint/examples"),
    ("nginx", "usr/share/doc/tagmint/nginx"),
    ("nginx/snippets", "usr/share/doc/tagmint/nginx/snippets"),
];
/// Shells, and where their completions are looked for.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/tagmint"),
    ("zsh", "usr/share/zsh/vendor-completions/_tagmint"),
    ("fish", "usr/share/fish/vendor_completions.d/tagmint.fish"),
];
const PROGRAM: &str = "usr/bin/tagmint";
const MANUAL: &str = "usr/share/man/man1";
const DOCUMENTS: &str = "usr/share/doc/tagmint";

/// A folder that looks as the package is to be unpacked.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Puts everything in its place below `root`.
    pub(super) fn lay_out(workspace: &Workspace, root: &Path, binary: &Path, stamp: &Stamp) -> Result<Self, Failure> {
        let tree = Self { root: root.to_owned() };
        for &(from, to) in COPIED {
            tree.copy_files(&workspace.path(from), to)?;
        }
        let copyright = read(&workspace.path("deploy/debian/copyright"))?;
        tree.write(&format!("{DOCUMENTS}/copyright"), &copyright, 0o644)?;
        let script = read(&workspace.path("deploy/install.sh"))?;
        tree.write("usr/share/tagmint/install.sh", &script, 0o755)?;
        // For the configurations; it goes with the package when it is empty.
        tree.folder("etc/tagmint")?;
        tree.program(workspace, binary)?;
        for &(shell, to) in COMPLETIONS {
            tree.write(to, tree.ask(workspace, &["completions", shell])?.as_bytes(), 0o644)?;
        }
        tree.folder(MANUAL)?;
        tree.ask(workspace, &["man", "--out", &tree.path(MANUAL).to_string_lossy()])?;
        tree.compress(workspace, &files_in(&tree.path(MANUAL))?)?;
        tree.write(&format!("{DOCUMENTS}/changelog"), changelog(workspace, stamp)?.as_bytes(), 0o644)?;
        let notices = licenses::notices(workspace)?;
        tree.write(&format!("{DOCUMENTS}/third-party-licenses.txt"), notices.as_bytes(), 0o644)?;
        let documents = ["changelog", "third-party-licenses.txt"].map(|name| tree.path(DOCUMENTS).join(name));
        tree.compress(workspace, &documents)?;
        Ok(tree)
    }

    /// The program, without symbols.
    fn program(&self, workspace: &Workspace, binary: &Path) -> Result<(), Failure> {
        self.folder("usr/bin")?;
        let mut strip = workspace.command("strip");
        strip.arg("--strip-all").arg("-o").args([&self.path(PROGRAM), binary]);
        process::capture(strip)?;
        self.set_mode(PROGRAM, 0o755)
    }

    /// What the program prints.
    fn ask(&self, workspace: &Workspace, args: &[&str]) -> Result<String, Failure> {
        let mut command: Command = workspace.command(self.path(PROGRAM));
        command.args(args);
        process::capture(command)
    }

    /// Every file of a folder, without those of folders in it.
    fn copy_files(&self, from: &Path, to: &str) -> Result<(), Failure> {
        for file in files_in(from)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.write(&format!("{to}/{name}"), &read(&file)?, 0o644)?;
        }
        Ok(())
    }

    /// Packs files with gzip, as Debian wants manual pages and changelogs; without a name and time inside.
    fn compress(&self, workspace: &Workspace, files: &[PathBuf]) -> Result<(), Failure> {
        let mut gzip = workspace.command("gzip");
        gzip.args(["-9", "--no-name"]).args(files);
        process::capture(gzip)?;
        for file in files {
            let packed = format!("{}.gz", file.strip_prefix(&self.root).unwrap_or(file).display());
            self.set_mode(&packed, 0o644)?;
        }
        Ok(())
    }

    /// A file with this content and mode, and the folders above it.
    pub(super) fn write(&self, to: &str, content: &[u8], mode: u32) -> Result<(), Failure> {
        if let Some((folder, _)) = to.rsplit_once('/') {
            self.folder(folder)?;
        }
        let path = self.path(to);
        fs::write(&path, content).map_err(|error| on("write", &path, &error))?;
        self.set_mode(to, mode)
    }

    /// A folder that everybody may read, whatever the umask is.
    fn folder(&self, relative: &str) -> Result<(), Failure> {
        let path = self.path(relative);
        fs::create_dir_all(&path).map_err(|error| on("make", &path, &error))?;
        let levels = path.ancestors().take_while(|level| level.starts_with(&self.root));
        for level in levels {
            set_mode(level, 0o755)?;
        }
        Ok(())
    }

    fn set_mode(&self, relative: &str, mode: u32) -> Result<(), Failure> {
        set_mode(&self.path(relative), mode)
    }

    /// A path in it.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The program in it.
    pub(super) fn binary(&self) -> PathBuf {
        self.path(PROGRAM)
    }

    /// All files, relative to the root and sorted, but for what dpkg reads itself.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in entries(&folder)? {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    files.push(entry.strip_prefix(&self.root).unwrap_or(&entry).to_owned());
                }
            }
        }
        files.retain(|file| !file.starts_with("DEBIAN"));
        files.sort();
        Ok(files)
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| on("change the mode of", path, &error))
}

/// The package's changelog as Debian has them (Policy §4.4): one entry that points to the project's own.
fn changelog(workspace: &Workspace, stamp: &Stamp) -> Result<String, Failure> {
    let control = String::from_utf8_lossy(&read(&workspace.path("deploy/debian/control"))?).into_owned();
    let field = |name: &str| control.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let (maintainer, home) = (field("Maintainer:"), field("Homepage:"));
    let (version, date) = (&stamp.version, stamp.date(workspace)?);
    Ok(format!(
        "tagmint ({version}) stable; urgency=medium\n\n  * What changed: {home}/blob/main/CHANGELOG.md\n\n \
         -- {maintainer}  {date}\n"
    ))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| on("read", path, &error))
}

/// The files in a folder, sorted.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = entries(folder)?;
    files.retain(|path| path.is_file());
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| on("read", folder, &error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, Failure>>()?;
    paths.sort();
    Ok(paths)
}
