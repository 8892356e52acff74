//! Typed identifiers: a short prefix and a ULID, so that a stray id in a log line says what it names, and sorts by time.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::random::{Random, RandomUnavailable};

/// The text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form `{prefix}<ULID>`")]
pub struct InvalidId {
    /// The prefix that was expected, for example `mnt_`.
    pub prefix: &'static str,
}

fn new_ulid(now: Timestamp, random: &dyn Random) -> Result<Ulid, RandomUnavailable> {
    let mut bytes = [0_u8; 16];
    random.fill(&mut bytes[6..])?;
    let entropy = u128::from_be_bytes(bytes);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Ok(Ulid::from_parts(millis, entropy))
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// The prefix of this kind of id.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: 48 bits of `now` in milliseconds, 80 random bits.
            pub fn generate(now: Timestamp, random: &dyn Random) -> Result<Self, RandomUnavailable> {
                new_ulid(now, random).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = [0_u8; ulid::ULID_LEN];
                f.write_str($prefix)?;
                f.write_str(self.0.array_to_str(&mut buffer))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let invalid = InvalidId { prefix: $prefix };
                let ulid = text.strip_prefix($prefix).ok_or_else(|| invalid.clone())?;
                let parsed = Ulid::from_string(ulid).map_err(|_| invalid.clone())?;
                // Crockford decoding folds case and look-alikes; an id has one spelling.
                let id = Self(parsed);
                if id.to_string() == text { Ok(id) } else { Err(invalid) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_id!(
    /// One mint: the token's `jti`, its source identity in CloudTrail, and its row in the ledger.
    MintId, "mnt_"
);
prefixed_id!(
    /// One refusal: its row in the ledger.
    RefusalId, "rfs_"
);
prefixed_id!(
    /// One fetch of a token's credentials from STS: its row in the ledger.
    FetchId, "ftc_"
);
prefixed_id!(
    /// One session, without its secret.
    SessionId, "ses_"
);
prefixed_id!(
    /// One bearer, without its secret.
    BearerId, "brr_"
);
prefixed_id!(
    /// One certificate that was ordered, from its order on.
    CertificateId, "crt_"
);
prefixed_id!(
    /// One HTTP request: in the response, the log and the ledger.
    RequestId, "req_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);
    impl Random for Fixed {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
            out.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn an_id_survives_the_round_trip_and_has_one_spelling() {
        let now = Timestamp::from_millisecond(1_790_000_000_123).unwrap();
        let id = MintId::generate(now, &Fixed(7)).unwrap();
        let text = id.to_string();
        assert_eq!(text.len(), 30);
        assert_eq!(text.parse::<MintId>().unwrap(), id);
        assert!(text.to_lowercase().parse::<MintId>().is_err());
        assert!(text.replace("mnt_", "ses_").parse::<MintId>().is_err());
        assert!("mnt_".parse::<MintId>().is_err());
    }

    #[test]
    fn ids_sort_by_time() {
        let early = Timestamp::from_second(1_700_000_000).unwrap();
        let late = Timestamp::from_second(1_700_000_001).unwrap();
        let first = MintId::generate(early, &Fixed(255)).unwrap();
        let second = MintId::generate(late, &Fixed(0)).unwrap();
        assert!(first < second && first.to_string() < second.to_string());
    }
}
