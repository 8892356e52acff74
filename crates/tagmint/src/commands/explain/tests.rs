//! What a person reads for each refusal and each warning.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagmint_iam::advice::Explanation;

use tagmint_iam::policy::Policy;

use super::*;

const GITHUB: &str = "token.actions.githubusercontent.com";
const OWN: &str = "id.example.com";
const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";
const NOW: i64 = 1_790_000_000;
const TAGS: &str = "https://aws.amazon.com/tags";
const ROLES: &str = "https://aws.amazon.com/roles";
const SOURCE: &str = "https://aws.amazon.com/source_identity";

/// A question with everything that makes it pass, to be spoilt.
struct Case {
    claims: Value,
    trust: Value,
    url: Option<&'static str>,
    client_ids: Vec<String>,
    role: Option<&'static str>,
    sign: bool,
    access: Option<(&'static str, &'static str, Value, Value)>,
    provider_missing: bool,
    context: Vec<(String, String)>,
}

fn arn(url: &str) -> String {
    format!("arn:aws:iam::111122223333:oidc-provider/{url}")
}

fn trust(url: &str, actions: &[&str], conditions: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": arn(url)}, "Action": actions, "Condition": conditions,
    }]})
}

fn base(url: &str, subject: &str) -> Value {
    json!({"iss": format!("https://{url}"), "sub": subject, "aud": "sts.amazonaws.com", "iat": NOW - 10, "exp": NOW + 600})
}

fn case(claims: Value, trust: Value) -> Case {
    let client_ids = vec!["sts.amazonaws.com".to_owned()];
    Case {
        claims,
        trust,
        url: None,
        client_ids,
        role: Some(ROLE),
        sign: true,
        access: None,
        provider_missing: false,
        context: Vec::new(),
    }
}

/// A workflow's token against a policy's condition on the subject.
fn github(subject: &str, operator: &str, wanted: &str) -> Case {
    let conditions = json!({operator: {format!("{GITHUB}:sub"): wanted}});
    case(github_claims(subject), trust(GITHUB, &["sts:AssumeRoleWithWebIdentity"], conditions))
}

fn github_claims(subject: &str) -> Value {
    let mut claims = base(GITHUB, subject);
    let further = json!({
        "repository": "acme/app", "repository_id": "34", "repository_owner": "acme", "repository_owner_id": "12", "ref": "refs/heads/main",
    });
    claims.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    claims
}

/// A token of an issuer of one's own, with a tag, against a statement with these actions and conditions.
fn tagged(actions: &[&str], conditions: Value) -> Case {
    let mut claims = base(OWN, "wallet:0xa");
    claims[TAGS] = json!({"principal_tags": {"team": ["blue"]}});
    case(claims, trust(OWN, actions, conditions))
}

const BOTH: [&str; 2] = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"];

fn subject() -> Value {
    json!({"id.example.com:sub": "wallet:0xa"})
}

impl Case {
    fn explain(&self) -> Explanation {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwks =
            json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y)}]}).to_string();
        let header = encode(br#"{"alg":"ES256","kid":"k"}"#);
        let signed = format!("{header}.{}", encode(self.claims.to_string().as_bytes()));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", encode(signature.as_ref()));
        let trust_policy = Policy::parse_as(Kind::Trust, &self.trust.to_string()).unwrap();
        let (mut role_policies, mut bucket_policy) = (Vec::new(), None);
        if let Some((.., role, bucket)) = &self.access {
            role_policies.push(Policy::parse_as(Kind::Identity, &role.to_string()).unwrap());
            bucket_policy = Some(Policy::parse_as(Kind::Resource, &bucket.to_string()).unwrap());
        }
        let question = Question {
            token: &token,
            trust_policy: &trust_policy,
            role_arn: self.role,
            provider_url: self.url,
            local: false,
            provider_missing: self.provider_missing,
            client_ids: &self.client_ids,
            context: &self.context,
            discovery: Fetched::Unchecked,
            jwks: if self.sign { Fetched::Document(jwks.as_bytes()) } else { Fetched::Unchecked },
            now: Timestamp::from_second(NOW).unwrap(),
            access: self.access.as_ref().map(|(action, resource, ..)| AccessQuestion {
                action,
                resource,
                role_policies: &role_policies,
                bucket_policy: bucket_policy.as_ref(),
                context: &[],
            }),
        };
        let explanation = question.explain();
        assert_eq!(explanation.accepted, explanation.error.is_none());
        assert_eq!(explanation.accepted, explanation.checks.iter().all(|check| check.passed));
        let json = serde_json::to_string(&explanation).unwrap();
        for part in token.split('.') {
            assert!(!json.contains(part), "a part of the token is shown");
        }
        explanation
    }

    fn refused(&self) -> String {
        let explanation = self.explain();
        assert!(!explanation.accepted);
        let failed = explanation.checks.iter().find(|check| !check.passed).unwrap();
        assert!(failed.fix.is_some());
        text::render(&explanation)
    }

    fn warned(&self, ids: &[&str]) -> String {
        let explanation = self.explain();
        assert!(explanation.accepted, "{}", text::render(&explanation));
        assert_eq!(explanation.warnings.iter().map(|warning| warning.id).collect::<Vec<_>>(), ids);
        text::render(&explanation)
    }
}

macro_rules! refusals {
    ($($name:ident: $case:expr;)*) => { $(
        #[test]
        fn $name() {
            insta::assert_snapshot!($case.refused());
        }
    )* };
}

macro_rules! warnings {
    ($($name:ident [$($id:literal),*]: $case:expr;)*) => { $(
        #[test]
        fn $name() {
            insta::assert_snapshot!($case.warned(&[$($id),*]));
        }
    )* };
}

const MAIN: &str = "repo:acme/app:ref:refs/heads/main";

refusals! {
    wrong_case: github(MAIN, "StringEquals", "repo:Acme/App:ref:refs/heads/main");
    star_under_string_equals: github(MAIN, "StringEquals", "repo:acme/app:*");
    environment_where_a_branch_is_wanted: github("repo:acme/app:environment:prod", "StringEquals", MAIN);
    branch_where_an_environment_is_wanted: github(MAIN, "StringEquals", "repo:acme/app:environment:prod");
    pull_request_where_a_branch_is_wanted: github("repo:acme/app:pull_request", "StringEquals", MAIN);
    another_branch: github("repo:acme/app:ref:refs/heads/dev", "StringEquals", MAIN);
    another_repository: github("repo:acme/other:ref:refs/heads/main", "StringLike", "repo:acme/app:ref:*");
    old_subject_in_the_policy: github("repo:acme@12/app@34:ref:refs/heads/main", "StringEquals", MAIN);
    old_subject_in_the_token: github(MAIN, "StringEquals", "repo:acme@12/app@34:ref:refs/heads/main");
    old_pattern_in_the_policy: github("repo:acme@12/app@34:ref:refs/heads/main", "StringLike", "repo:acme/*");
    repository_of_the_same_name:
        github("repo:acme@12/app@34:ref:refs/heads/dev", "StringEquals", "repo:acme@12/app@35:ref:refs/heads/main");
    github_claim_that_is_no_key: {
        let conditions = json!({"StringEquals": {format!("{GITHUB}:repository_owner"): "acme"}});
        case(github_claims(MAIN), trust(GITHUB, &["sts:AssumeRoleWithWebIdentity"], conditions))
    };
    gitlab_ref: {
        let mut claims = base("gitlab.com", "project_path:g/p:ref_type:branch:ref:dev");
        claims["project_path"] = json!("g/p");
        claims["namespace_path"] = json!("g");
        let conditions = json!({"StringEquals": {"gitlab.com:sub": "project_path:g/p:ref_type:branch:ref:main"}});
        case(claims, trust("gitlab.com", &["sts:AssumeRoleWithWebIdentity"], conditions))
    };
    audience_not_registered: {
        let mut case = github(MAIN, "StringEquals", MAIN);
        case.client_ids = vec!["sts.amazonaws.com/".to_owned()];
        case
    };
    tag_session_missing: tagged(&["sts:AssumeRoleWithWebIdentity"], json!({"StringEquals": subject()}));
    tag_session_missing_beside_others: {
        let mut case = tagged(&["sts:AssumeRoleWithWebIdentity"], json!({"StringEquals": subject()}));
        let other = json!({"StringEquals": {"id.example.com:sub": "job:9"}});
        let other = trust(OWN, &BOTH, other)["Statement"][0].clone();
        case.trust["Statement"].as_array_mut().unwrap().insert(0, other);
        case
    };
    set_source_identity_missing: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.claims[SOURCE] = json!("mnt_01");
        case
    };
    tag_absent: tagged(&BOTH, json!({"Null": {"aws:RequestTag/project": "false"}}));
    not_equals_trap_in_a_denial: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.trust["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Deny", "Principal": {"Federated": arn(OWN)}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringNotEquals": {"aws:RequestTag/project": ""}},
        }));
        case
    };
    provider_url_with_slash: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.url = Some("https://id.example.com/");
        case
    };
    provider_url_with_port: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.url = Some("https://id.example.com:8443");
        case
    };
    principal_with_slash: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.trust["Statement"][0]["Principal"] = json!({"Federated": arn("id.example.com/")});
        case.url = Some("https://id.example.com");
        case
    };
    provider_of_another_account: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.trust["Statement"][0]["Principal"] =
            json!({"Federated": "arn:aws:iam::999900001111:oidc-provider/id.example.com"});
        case
    };
    provider_not_registered: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.provider_missing = true;
        case
    };
    address_not_known: tagged(&BOTH, json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}));
    address_denied_and_not_known: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.trust["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Deny", "Principal": {"Federated": arn(OWN)}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        }));
        case
    };
    address_that_does_not_fit: {
        let mut case = tagged(&BOTH, json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}));
        case.context = vec![("aws:SourceIp".to_owned(), "198.51.100.7".to_owned())];
        case
    };
    principal_everyone: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.trust["Statement"][0]["Principal"] = json!({"AWS": "*"});
        case
    };
    expired: {
        let mut case = github(MAIN, "StringEquals", MAIN);
        case.claims["exp"] = json!(NOW - 7_500);
        case
    };
    from_the_future: {
        let mut case = github(MAIN, "StringEquals", MAIN);
        case.claims["iat"] = json!(NOW + 900);
        case
    };
    roles_pin: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.claims[ROLES] = json!(["arn:aws:iam::111122223333:role/Deploy"]);
        case
    };
    foreign_prefix_refused: s3("arn:aws:s3:::data/red/x", json!("arn:aws:s3:::logs/*"));
}

/// The session with the tag `team` = `blue` asks for an object.
fn s3(resource: &'static str, granted: Value) -> Case {
    let mut case = tagged(&BOTH, json!({"StringEquals": subject(), "Null": {"aws:RequestTag/team": "false"}}));
    let role =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": granted}});
    let bucket = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*",
    }});
    case.access = Some(("s3:GetObject", resource, role, bucket));
    case
}

warnings! {
    nothing_to_warn_of []: tagged(&BOTH, json!({"StringEquals": subject(), "Null": {"aws:RequestTag/team": "false"}}));
    github_with_ids []: {
        let with_ids = "repo:acme@12/app@34:ref:refs/heads/main";
        github(with_ids, "StringEquals", with_ids)
    };
    subject_unscoped ["subject-unscoped"]: tagged(&BOTH, json!({"Null": {"aws:RequestTag/team": "false"}}));
    subject_of_any_repository ["subject-broad", "names-not-ids"]: github(MAIN, "StringLike", "repo:acme/*");
    subject_of_any_ref ["subject-any-ref", "names-not-ids"]: github(MAIN, "StringLike", "repo:acme/app:*");
    names_instead_of_ids ["names-not-ids"]: github(MAIN, "StringEquals", MAIN);
    gitlab_names ["names-not-ids"]: {
        let subject = "project_path:g/p:ref_type:branch:ref:main";
        let mut claims = base("gitlab.com", subject);
        claims["project_path"] = json!("g/p");
        claims["namespace_path"] = json!("g");
        let conditions = json!({"StringEquals": {"gitlab.com:sub": subject}});
        case(claims, trust("gitlab.com", &["sts:AssumeRoleWithWebIdentity"], conditions))
    };
    for_all_values ["tag-not-demanded", "for-all-values"]:
        tagged(&BOTH, json!({"StringEquals": subject(), "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}));
    for_all_values_of_a_demanded_tag []: tagged(&BOTH, json!({
        "StringEquals": subject(), "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}, "Null": {"aws:RequestTag/team": "false"},
    }));
    no_tag_demanded ["tag-not-demanded"]: tagged(&BOTH, json!({"StringEquals": subject()}));
    tag_denied_to_others ["tag-not-demanded"]: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        let no_tag = json!({"Null": {"aws:RequestTag/team": "true"}});
        case.trust["Statement"].as_array_mut().unwrap().extend([
            json!({"Effect": "Deny", "Principal": {"Federated": arn(OWN)}, "Action": "sts:TagSession", "Condition": no_tag}),
            json!({
                "Effect": "Deny", "Principal": {"Federated": arn(GITHUB)}, "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": no_tag,
            }),
        ]);
        case
    };
    tag_denied_without []: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject()}));
        case.trust["Statement"].as_array_mut().unwrap().push(json!({
            "Effect": "Deny", "Principal": {"Federated": arn(OWN)}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"Null": {"aws:RequestTag/team": "true"}},
        }));
        case
    };
    subject_under_for_all_values []: {
        let with_ids = "repo:acme@12/app@34:ref:refs/heads/main";
        github(with_ids, "ForAllValues:StringEquals", with_ids)
    };
    address_told []: {
        let mut case = tagged(&BOTH, json!({
            "StringEquals": subject(), "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Bool": {"aws:SecureTransport": "true"},
            "Null": {"aws:RequestTag/team": "false"},
        }));
        case.context = vec![("aws:SourceIp".to_owned(), "192.0.2.7".to_owned())];
        case
    };
    address_may_be_missing ["request-key-unknown"]: tagged(&BOTH, json!({
        "StringEquals": subject(), "IpAddressIfExists": {"aws:SourceIp": "192.0.2.0/24"}, "Null": {"aws:RequestTag/team": "false"},
    }));
    not_equals_empty ["tag-not-demanded", "string-not-equals-empty"]:
        tagged(&BOTH, json!({"StringEquals": subject(), "StringNotEquals": {"aws:RequestTag/team": ""}}));
    broad_role_grant ["broad-role-grant"]: s3("arn:aws:s3:::data/blue/x", json!("*"));
    nothing_undone []: s3("arn:aws:s3:::data/blue/x", json!("arn:aws:s3:::logs/*"));
    not_checked ["signature-not-checked", "audience-not-checked", "role-not-checked"]: {
        let mut case = tagged(&BOTH, json!({"StringEquals": subject(), "Null": {"aws:RequestTag/team": "false"}}));
        case.claims[ROLES] = json!([ROLE]);
        (case.client_ids, case.role, case.sign) = (Vec::new(), None, false);
        case
    };
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let shown = github("repo:acme/app\u{1b}[2J:ref:refs/heads/main", "StringEquals", MAIN).refused();
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn the_shape_of_the_json_is_stable() {
    let mut case = github(MAIN, "StringEquals", "repo:Acme/App:ref:refs/heads/main");
    case.sign = false;
    insta::assert_json_snapshot!(case.explain());
}
