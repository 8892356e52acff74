//! `tagmint aws render`.

use std::{fs, path::Path};

use tagmint_aws::render::{Names, Part, RenderedFile, render};

use super::{RenderArgs, plan, settings};
use crate::{
    config::Config,
    error::CliError,
    output::{Format, Output, write_line},
};

/// Writes the set-up.
pub(super) fn run(args: &RenderArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let Format::Rendering(rendering) = args.format else {
        return Err(CliError::Usage("--format is one of cloudformation, terraform and cli here".to_owned()));
    };
    let settings = settings(config)?;
    let set_up = plan(config, &settings, Names::Placeholder, output)?;
    let parts: Vec<Part> =
        Part::ALL.into_iter().filter(|part| args.parts.iter().any(|wanted| Part::from(*wanted) == *part)).collect();
    let files = render(&set_up, &settings.account, rendering, &parts);
    match &args.out {
        Some(folder) => {
            for file in &files {
                write(folder, file)?;
                output.talk(&format!("wrote {}", folder.join(file.path).display()));
            }
            Ok(())
        }
        None => files.first().map_or(Ok(()), |main| write_line(&main.text)),
    }
}

fn write(folder: &Path, file: &RenderedFile) -> Result<(), CliError> {
    let failed = |source| CliError::Io { what: "the rendered files", source };
    let path = folder.join(file.path);
    fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
    fs::write(&path, &file.text).map_err(failed)?;
    if file.executable {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    Ok(())
}
