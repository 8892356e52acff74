//! AWS's own endpoints of the services that [`crate::client`] calls (AWS General Reference, "Service endpoints").

use super::Service;

/// The endpoint of a service in a region, and the region that its signatures name. IAM has one endpoint in a partition.
pub(super) fn of_aws(service: Service, region: &str, fips: bool, dual_stack: bool) -> (String, String) {
    let (suffix, iam) = partition(region);
    let fips = if fips { "-fips" } else { "" };
    match service {
        Service::Iam => (format!("https://iam{fips}{}.{suffix}", iam.host), iam.region.to_owned()),
        Service::S3 => {
            let dual_stack = if dual_stack { ".dualstack" } else { "" };
            (format!("https://s3{fips}{dual_stack}.{region}.{suffix}"), region.to_owned())
        }
        Service::Sts => (format!("https://sts{fips}.{region}.{suffix}"), region.to_owned()),
    }
}

/// Where IAM is in a partition: what follows `iam` in its host name, and the region in signatures.
struct Iam {
    host: &'static str,
    region: &'static str,
}

/// The DNS suffix of a region's partition, and its IAM.
fn partition(region: &str) -> (&'static str, Iam) {
    let iam = |host, region| Iam { host, region };
    match region {
        _ if region.starts_with("cn-") => ("amazonaws.com.cn", iam(".cn-north-1", "cn-north-1")),
        _ if region.starts_with("us-gov-") => ("amazonaws.com", iam(".us-gov", "us-gov-west-1")),
        _ if region.starts_with("us-iso-") => ("c2s.ic.gov", iam(".us-iso-east-1", "us-iso-east-1")),
        _ if region.starts_with("us-isob-") => ("sc2s.sgov.gov", iam(".us-isob-east-1", "us-isob-east-1")),
        _ if region.starts_with("eu-isoe-") => ("cloud.adc-e.uk", iam(".eu-isoe-west-1", "eu-isoe-west-1")),
        _ if region.starts_with("us-isof-") => ("csp.hci.ic.gov", iam(".us-isof-south-1", "us-isof-south-1")),
        _ if region.starts_with("eusc-") => ("amazonaws.eu", iam(".eusc-de-east-1", "eusc-de-east-1")),
        _ => ("amazonaws.com", iam("", "us-east-1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_follow_the_partition() {
        for (service, region, endpoint, signing) in [
            (Service::S3, "eu-west-1", "https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
            (Service::Sts, "eu-west-1", "https://sts.eu-west-1.amazonaws.com", "eu-west-1"),
            (Service::Iam, "eu-west-1", "https://iam.amazonaws.com", "us-east-1"),
            (Service::Iam, "us-gov-east-1", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            (Service::Iam, "cn-northwest-1", "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            (Service::S3, "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ] {
            assert_eq!(of_aws(service, region, false, false), (endpoint.to_owned(), signing.to_owned()), "{region}");
        }
        let (endpoint, _) = of_aws(Service::S3, "us-east-2", true, true);
        assert_eq!(endpoint, "https://s3-fips.dualstack.us-east-2.amazonaws.com");
    }
}
