//! AWS's partitions: separate clouds with ARNs, endpoints and STS audiences of their own.
//!
//! Source: `partitions.json` of botocore (regions and DNS suffixes) and the user guides of the China regions (`sts.amazonaws.com.cn`).

use crate::arn::Arn;

/// A partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name in ARNs: `aws-us-gov`.
    pub name: &'static str,
    /// The suffix of its endpoints' hosts: `amazonaws.com`.
    pub dns_suffix: &'static str,
    /// The prefixes of its regions' names. Empty: the regions of no other partition.
    region_prefixes: &'static [&'static str],
}

/// The partitions, the commercial one first.
pub const PARTITIONS: [Partition; 8] = [
    Partition { name: "aws", dns_suffix: "amazonaws.com", region_prefixes: &[] },
    Partition { name: "aws-cn", dns_suffix: "amazonaws.com.cn", region_prefixes: &["cn-"] },
    Partition { name: "aws-us-gov", dns_suffix: "amazonaws.com", region_prefixes: &["us-gov-"] },
    Partition { name: "aws-iso", dns_suffix: "c2s.ic.gov", region_prefixes: &["us-iso-"] },
    Partition { name: "aws-iso-b", dns_suffix: "sc2s.sgov.gov", region_prefixes: &["us-isob-"] },
    Partition { name: "aws-iso-e", dns_suffix: "cloud.adc-e.uk", region_prefixes: &["eu-isoe-"] },
    Partition { name: "aws-iso-f", dns_suffix: "csp.hci.ic.gov", region_prefixes: &["us-isof-", "eu-isof-"] },
    Partition { name: "aws-eusc", dns_suffix: "amazonaws.eu", region_prefixes: &["eusc-"] },
];

/// The name of the partition that is meant where nothing names one.
pub const DEFAULT: &str = "aws";

/// The partition of this name.
pub fn named(name: &str) -> Option<&'static Partition> {
    PARTITIONS.iter().find(|partition| partition.name == name)
}

/// The partition that a region belongs to.
pub fn of_region(region: &str) -> &'static Partition {
    let by_prefix =
        PARTITIONS.iter().find(|partition| partition.region_prefixes.iter().any(|prefix| region.starts_with(prefix)));
    by_prefix.unwrap_or(&PARTITIONS[0])
}

/// The name of the partition in an ARN.
pub fn of_arn(arn: &str) -> Option<&str> {
    Arn::split(arn).map(|arn| arn.partition).filter(|partition| !partition.is_empty())
}

/// Whether this may be a partition, one that is not listed here too: all that AWS has begin so.
pub fn is_plausible(name: &str) -> bool {
    let rest = name.strip_prefix("aws");
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest.starts_with('-') && rest.bytes().all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// The suffix of endpoints' hosts in the partition of this name. A partition that is not listed counts as like the commercial one.
pub fn dns_suffix(name: &str) -> &'static str {
    named(name).map_or(PARTITIONS[0].dns_suffix, |partition| partition.dns_suffix)
}

/// Whether an audience is STS's own, which tokens for AWS have whatever the issuer: the global host of a partition, or a region's.
pub fn is_sts_audience(audience: &str) -> bool {
    let Some(rest) = audience.strip_prefix("sts.") else { return false };
    PARTITIONS.iter().any(|partition| {
        let Some(before) = rest.strip_suffix(partition.dns_suffix) else { return false };
        let Some(region) = before.strip_suffix('.') else { return before.is_empty() };
        !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_belong_to_partitions() {
        for (region, name) in [
            ("eu-central-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(of_region(region).name, name, "{region}");
            assert_eq!(named(name).unwrap().name, name);
        }
        assert_eq!((dns_suffix("aws-cn"), dns_suffix("aws-us-gov")), ("amazonaws.com.cn", "amazonaws.com"));
    }

    #[test]
    fn stss_audiences() {
        for audience in [
            "sts.amazonaws.com",
            "sts.amazonaws.com.cn",
            "sts.us-gov-west-1.amazonaws.com",
            "sts.cn-north-1.amazonaws.com.cn",
            "sts.c2s.ic.gov",
        ] {
            assert!(is_sts_audience(audience), "{audience}");
        }
        for audience in [
            "",
            "sts.",
            "sts.amazonaws.com/",
            "sts.example.com",
            "s3.amazonaws.com",
            "sts..amazonaws.com",
            "a.sts.amazonaws.com",
        ] {
            assert!(!is_sts_audience(audience), "{audience}");
        }
    }

    #[test]
    fn arns_name_their_partition() {
        assert_eq!(of_arn("arn:aws-us-gov:iam::111122223333:role/r"), Some("aws-us-gov"));
        assert_eq!(of_arn("arn::iam::111122223333:role/r"), None);
        assert_eq!(of_arn("id.example.com"), None);
    }
}
