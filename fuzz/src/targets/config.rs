//! The configuration file: any text becomes settings, or problems with words; nothing else.

use std::path::Path;

use tagmint::config::{Config, ConfigError, ListenOn};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = Path::new("/etc/tagmint/tagmint.toml");
    match Config::parse(text, file) {
        Ok(config) => {
            assert_eq!(config.file, file);
            assert!(!config.rules.is_empty() || config.rule_notes.is_empty());
            assert!(
                config.admin.ip().is_loopback()
                    || !config.warnings.is_empty()
                    || ListenOn::Tcp(config.admin) != config.public
            );
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let ConfigError::Invalid { problems, .. } = error else { panic!("no file was read") };
            assert!(!problems.is_empty());
        }
    }
}
