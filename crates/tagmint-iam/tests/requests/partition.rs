//! Partitions: a role trusts the providers of its own account, in its own partition.

use serde_json::json;
use tagmint_iam::partition::PARTITIONS;

use super::{Case, HOST};

fn case(partition: &str) -> Case {
    let mut case = Case::new(&json!({"StringEquals": {format!("{HOST}:sub"): "alice"}}));
    let provider = format!("arn:{partition}:iam::111122223333:oidc-provider/{HOST}");
    case.trust["Statement"][0]["Principal"] = json!({"Federated": provider});
    case.role_arn = Some(format!("arn:{partition}:iam::111122223333:role/data"));
    case
}

#[test]
fn every_partition_is_explained() {
    for partition in &PARTITIONS {
        let name = partition.name;
        let mut case = case(name);
        assert!(case.accepted(), "{name}");
        // Without the role's ARN the provider's partition counts, then that of the roles in the token.
        case.role_arn = None;
        assert!(case.accepted(), "{name}");
        case.access = Some(("s3:GetObject", format!("arn:{name}:s3:::data/blue/x")));
        let resource = format!("arn:{name}:s3:::data/${{aws:PrincipalTag/team}}/*");
        case.role = vec![
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resource}]}),
        ];
        assert!(case.accepted(), "{name}");
        case.access = Some(("s3:GetObject", format!("arn:{name}:s3:::data/red/x")));
        assert!(!case.accepted(), "{name}");
    }
}

#[test]
fn a_provider_of_another_partition_is_named() {
    let mut case = case("aws");
    case.role_arn = Some("arn:aws-us-gov:iam::111122223333:role/data".to_owned());
    let fix = case.fix();
    assert!(fix.contains("is in the partition aws, the role in aws-us-gov"), "{fix}");
    assert!(fix.ends_with(&format!("write arn:aws-us-gov:iam::111122223333:oidc-provider/{HOST}")), "{fix}");
    let mut case = self::case("aws-cn");
    case.role_arn = Some("arn:aws:iam::111122223333:role/data".to_owned());
    assert!(case.fix().contains("is in the partition aws-cn, the role in aws"));
}

#[test]
fn advice_has_the_partition() {
    let mut case = case("aws-us-gov");
    case.trust["Statement"][0]["Principal"] = json!({"AWS": "*"});
    let fix = case.fix();
    assert!(fix.contains(&format!("arn:aws-us-gov:iam::111122223333:oidc-provider/{HOST}")), "{fix}");
}
