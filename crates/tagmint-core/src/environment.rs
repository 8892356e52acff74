//! The two worlds. They share code and nothing else.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::issuer::IssuerUrl;

/// Which world an issuer, a database, a key or a secret belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real users and real data.
    Prod,
    /// Contributors, CI and `tagmint dev`. Never touches prod's data.
    Test,
}

impl Environment {
    /// The name as it stands in configs, secrets and the database stamp.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prod => "prod",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an environment: use `prod` or `test`")]
pub struct UnknownEnvironment(pub String);

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "prod" => Ok(Self::Prod),
            "test" => Ok(Self::Test),
            other => Err(UnknownEnvironment(other.to_owned())),
        }
    }
}

/// What a database is stamped with when it is created. Opening it under any other stamp is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The issuer whose sessions, keys and ledger the database holds.
    pub issuer: IssuerUrl,
    /// The world it belongs to.
    pub environment: Environment,
}
