use proptest::prelude::*;

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/me";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/id.example.test";

fn session() -> Caller {
    Caller::RoleSession { role_arn: ROLE.to_owned(), session_arn: SESSION.to_owned() }
}

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)).unwrap()
}

const ALLOW: &str =
    r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/team}/*"}"#;
const DENY: &str = r#"{"Sid":"no","Effect":"Deny","Action":"s3:*","Resource":"*"}"#;

fn grant(principal: &str) -> String {
    format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}}"#)
}

fn decide(identity: &str, session_policy: Option<&str>, resource: Option<&str>, same_account: bool) -> Outcome {
    let identity: Vec<Policy> = if identity.is_empty() { Vec::new() } else { vec![policy(identity)] };
    let session_policy: Option<Vec<Policy>> = session_policy.map(|text| vec![policy(text)]);
    let resource = resource.map(policy);
    let context = Context::new().with("aws:PrincipalTag/team", "red");
    let caller = session();
    let request =
        Request { caller: &caller, action: "s3:getobject", resource: "arn:aws:s3:::b/red/x", context: &context };
    let policies =
        Policies { identity: &identity, session: session_policy.as_deref(), resource: resource.as_ref(), same_account };
    access(policies, request).outcome
}

/// IAM user guide, "Policy evaluation logic", "Cross-account policy evaluation logic".
#[test]
fn roles_and_buckets() {
    use Outcome::{Allowed, ExplicitDeny, ImplicitDeny};
    let role = grant(&format!(r#"{{"AWS":"{ROLE}"}}"#));
    let own_session = grant(&format!(r#"{{"AWS":"{SESSION}"}}"#));
    let account = grant(r#"{"AWS":"111122223333"}"#);
    let root = grant(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#);
    let other = grant(r#"{"AWS":"444455556666"}"#);
    let everyone = grant(r#""*""#);
    let denied = format!("{ALLOW},{DENY}");
    let nothing = r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}"#;
    let cases = [
        ("", None, None, true, ImplicitDeny),
        (ALLOW, None, None, true, Allowed),
        (denied.as_str(), None, None, true, ExplicitDeny),
        ("", None, Some(role.as_str()), true, Allowed),
        ("", None, Some(&everyone), true, Allowed),
        ("", None, Some(&account), true, ImplicitDeny),
        (ALLOW, None, Some(&root), true, Allowed),
        (DENY, None, Some(&role), true, ExplicitDeny),
        (ALLOW, None, None, false, ImplicitDeny),
        ("", None, Some(&role), false, ImplicitDeny),
        (ALLOW, None, Some(&role), false, Allowed),
        (ALLOW, None, Some(&account), false, Allowed),
        (ALLOW, None, Some(&other), false, ImplicitDeny),
        (ALLOW, Some(nothing), None, true, ImplicitDeny),
        (ALLOW, Some(ALLOW), None, true, Allowed),
        (nothing, Some(ALLOW), None, true, ImplicitDeny),
        ("", Some(nothing), Some(&role), true, ImplicitDeny),
        ("", Some(nothing), Some(&own_session), true, Allowed),
        ("", Some(DENY), Some(&own_session), true, ExplicitDeny),
    ];
    for (index, (identity, session, resource, same_account, expected)) in cases.into_iter().enumerate() {
        assert_eq!(decide(identity, session, resource, same_account), expected, "case {index}");
    }
}

#[test]
fn the_decision_names_its_statements() {
    let context = Context::new();
    let caller = session();
    let request = Request { caller: &caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
    let policies =
        Policies { identity: &[policy(&format!("{ALLOW},{DENY}"))], session: None, resource: None, same_account: true };
    let decision = access(policies, request);
    assert_eq!(decision.outcome, Outcome::ExplicitDeny);
    assert_eq!(
        decision.decisive,
        [StatementRef { source: Source::Identity, policy: 0, statement: 1, sid: Some("no".into()) }]
    );
    assert_eq!(decision.statements[0].resource, Some(false), "the variable has no value");
    assert_eq!(decision.statements.len(), 2);
}

fn trusts(principal: &str, caller: &Caller) -> bool {
    let policy = policy(&format!(r#"{{"Effect":"Allow",{principal},"Action":"sts:AssumeRole*"}}"#));
    let context = Context::new();
    let request = Request { caller, action: "sts:AssumeRoleWithWebIdentity", resource: ROLE, context: &context };
    trust(&policy, request).is_allowed()
}

#[test]
fn principals() {
    let web = Caller::WebIdentity { provider: PROVIDER.to_owned() };
    let service = Caller::Service { name: "ec2.amazonaws.com".to_owned() };
    let cases = [
        (format!(r#""Principal":{{"Federated":"{PROVIDER}"}}"#), &web, true),
        (format!(r#""Principal":{{"Federated":["x","{PROVIDER}"]}}"#), &web, true),
        (format!(r#""Principal":{{"Federated":"{PROVIDER}/"}}"#), &web, false),
        (format!(r#""Principal":{{"AWS":"{PROVIDER}"}}"#), &web, false),
        (r#""Principal":{"AWS":"*"}"#.to_owned(), &web, false),
        (r#""Principal":{"AWS":"111122223333"}"#.to_owned(), &web, false),
        (format!(r#""NotPrincipal":{{"Federated":"{PROVIDER}"}}"#), &web, false),
        (r#""NotPrincipal":{"Federated":"other"}"#.to_owned(), &web, true),
        (r#""Principal":{"Service":"ec2.amazonaws.com"}"#.to_owned(), &service, true),
        (r#""Principal":{"Service":"s3.amazonaws.com"}"#.to_owned(), &service, false),
        (r#""Principal":{"AWS":"*"}"#.to_owned(), &service, true),
        (r#""Principal":"*""#.to_owned(), &service, true),
        (r#""Principal":"*""#.to_owned(), &web, false),
        (r#""Principal":{"AWS":"*"}"#.to_owned(), &Caller::Anonymous, true),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:root"}"#.to_owned(), &session(), true),
        (r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/root"}"#.to_owned(), &session(), false),
    ];
    for (principal, caller, expected) in cases {
        assert_eq!(trusts(&principal, caller), expected, "{principal} {caller:?}");
    }
    assert_eq!(web.account(), Some("111122223333"));
}

/// A denial for everyone spares nobody: the recorded answer about web identities is one about an allowance.
#[test]
fn a_denial_for_everyone_reaches_every_caller() {
    let web = Caller::WebIdentity { provider: PROVIDER.to_owned() };
    let service = Caller::Service { name: "ec2.amazonaws.com".to_owned() };
    let allow = format!(r#"{{"Effect":"Allow","Principal":{{"AWS":"*","Federated":"{PROVIDER}"}},"Action":"sts:*"}}"#);
    let cases = [
        (r#""Principal":"*""#, true),
        (r#""Principal":{"AWS":"*"}"#, true),
        (r#""Principal":{"AWS":["444455556666","*"]}"#, true),
        (r#""Principal":{"AWS":"444455556666"}"#, false),
        (r#""NotPrincipal":{"AWS":"*"}"#, false),
    ];
    for (principal, denied) in cases {
        let policy = policy(&format!(r#"{allow},{{"Effect":"Deny",{principal},"Action":"sts:*"}}"#));
        for caller in [&web, &service, &session(), &Caller::Anonymous] {
            let context = Context::new();
            let request = Request { caller, action: "sts:AssumeRole", resource: ROLE, context: &context };
            let expected = if denied { Outcome::ExplicitDeny } else { Outcome::Allowed };
            assert_eq!(trust(&policy, request).outcome, expected, "{principal} {caller:?}");
        }
    }
}

/// Nobody known and services have no policies of their own: a bucket's policy alone decides.
#[test]
fn callers_without_policies_need_none() {
    use Outcome::{Allowed, ExplicitDeny, ImplicitDeny};
    let service = Caller::Service { name: "cloudtrail.amazonaws.com".to_owned() };
    let everyone = grant(r#""*""#);
    let to_service = grant(r#"{"Service":"cloudtrail.amazonaws.com"}"#);
    let account = grant(r#"{"AWS":"111122223333"}"#);
    let denied = format!("{everyone},{}", everyone.replace("Allow", "Deny"));
    let cases = [
        (&Caller::Anonymous, Some(&everyone), Allowed),
        (&Caller::Anonymous, Some(&to_service), ImplicitDeny),
        (&Caller::Anonymous, Some(&account), ImplicitDeny),
        (&Caller::Anonymous, Some(&denied), ExplicitDeny),
        (&Caller::Anonymous, None, ImplicitDeny),
        (&service, Some(&everyone), Allowed),
        (&service, Some(&to_service), Allowed),
        (&service, Some(&account), ImplicitDeny),
        (&service, Some(&denied), ExplicitDeny),
        (&service, None, ImplicitDeny),
    ];
    let context = Context::new();
    for (caller, bucket, expected) in cases {
        let resource = bucket.map(|text| policy(text));
        let request = Request { caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
        for same_account in [false, true] {
            let policies = Policies { identity: &[], session: None, resource: resource.as_ref(), same_account };
            assert_eq!(access(policies, request).outcome, expected, "{caller:?} {bucket:?}");
        }
    }
}

/// IAM user guide, "AWS JSON policy elements: Principal", "IAM role principals".
#[test]
fn session_policies_do_not_limit_grants_by_principal_arn() {
    let by_arn = |principal: &str, condition: &str| {
        grant(principal).replace(r#""Action""#, &format!(r#""Condition":{{{condition}}},"Action""#))
    };
    let arn_is = format!(r#""ArnEquals":{{"aws:principalarn":"{ROLE}"}}"#);
    let nothing = policy(r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}"#);
    let cases = [
        (by_arn(r#""*""#, &arn_is), true, true),
        (by_arn(r#"{"AWS":"*"}"#, &arn_is), true, true),
        (by_arn(r#""*""#, r#""StringLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}"#), true, true),
        (by_arn(r#""*""#, r#""ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/other"}"#), true, false),
        (by_arn(&format!(r#"{{"AWS":"{ROLE}"}}"#), &arn_is), true, false),
        (by_arn(r#""*""#, r#""ArnNotEquals":{"aws:PrincipalArn":"x"}"#), true, false),
        (by_arn(r#""*""#, &arn_is.replace("ArnEquals", "ArnEqualsIfExists")), true, false),
        (by_arn(r#""*""#, r#""Null":{"aws:PrincipalArn":"false"}"#), true, false),
        (by_arn(r#""*""#, r#""StringEquals":{"aws:PrincipalAccount":"111122223333"}"#), true, false),
        (by_arn(r#""*""#, &arn_is), false, false),
    ];
    let context = Context::new().with("aws:PrincipalArn", ROLE).with("aws:PrincipalAccount", "111122223333");
    let caller = session();
    for (text, same_account, expected) in cases {
        let bucket = policy(&text);
        let request =
            Request { caller: &caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
        let session = Some(std::slice::from_ref(&nothing));
        let policies = Policies { identity: &[], session, resource: Some(&bucket), same_account };
        assert_eq!(access(policies, request).is_allowed(), expected, "{text} {same_account}");
    }
}

#[test]
fn not_action_and_not_resource() {
    let context = Context::new();
    let caller = session();
    let cases = [
        (r#""NotAction":"s3:Delete*","Resource":"*""#, true),
        (r#""NotAction":"S3:GET*","Resource":"*""#, false),
        (r#""Action":"*","NotResource":"arn:aws:s3:::b/secret/*""#, true),
        (r#""Action":"*","NotResource":["arn:aws:s3:::other","arn:aws:s3:::b/?"]"#, false),
    ];
    for (members, expected) in cases {
        let policy = policy(&format!(r#"{{"Effect":"Allow",{members}}}"#));
        let request =
            Request { caller: &caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
        let policies = Policies { identity: &[policy], session: None, resource: None, same_account: true };
        assert_eq!(access(policies, request).is_allowed(), expected, "{members}");
    }
}

fn statement() -> impl Strategy<Value = String> {
    let parts = (
        "Allow|Deny",
        "s3:Get\\*|s3:\\*|s3:Put\\*|\\*",
        "arn:aws:s3:::b/(x|y|\\*|\\?)",
        "x|y|\\$\\{t\\}",
        any::<bool>(),
    );
    parts.prop_map(|(effect, action, resource, value, conditional)| {
        let condition =
            if conditional { format!(r#","Condition":{{"StringEquals":{{"t":"{value}"}}}}"#) } else { String::new() };
        format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"{condition}}}"#)
    })
}

fn allowed(statements: &[String]) -> bool {
    if statements.is_empty() {
        return false;
    }
    decide_with(&policy(&statements.join(",")))
}

fn decide_with(policy: &Policy) -> bool {
    let (caller, context) = (session(), Context::new().with("t", "x"));
    let request = Request { caller: &caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
    let policies =
        Policies { identity: std::slice::from_ref(policy), session: None, resource: None, same_account: true };
    access(policies, request).is_allowed()
}

proptest! {
    #[test]
    fn one_more_allowance_never_takes_away(statements in proptest::collection::vec(statement(), 0..5), more in statement()) {
        let more = more.replace("Deny", "Allow");
        let longer: Vec<String> = statements.iter().cloned().chain([more]).collect();
        prop_assert!(!allowed(&statements) || allowed(&longer));
    }

    #[test]
    fn one_more_denial_never_gives(statements in proptest::collection::vec(statement(), 0..5), more in statement()) {
        let more = more.replace("Allow", "Deny");
        let longer: Vec<String> = statements.iter().cloned().chain([more]).collect();
        prop_assert!(!allowed(&longer) || allowed(&statements));
    }

    #[test]
    fn a_denial_of_everything_wins(statements in proptest::collection::vec(statement(), 0..5), at in any::<prop::sample::Index>()) {
        let mut all = statements;
        all.insert(at.index(all.len() + 1), r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#.to_owned());
        prop_assert!(!allowed(&all));
    }

    #[test]
    fn the_order_of_statements_does_not_matter(statements in proptest::collection::vec(statement(), 0..5)) {
        let reversed: Vec<String> = statements.iter().rev().cloned().collect();
        prop_assert_eq!(allowed(&statements), allowed(&reversed));
    }
}

/// IAM user guide, "AWS JSON policy elements: NotPrincipal": the account, the user or role, and the session have each to be named.
#[test]
fn whom_not_principal_with_deny_spares() {
    const ROOT: &str = "arn:aws:iam::111122223333:root";
    const BOB: &str = "arn:aws:iam::111122223333:user/Bob";
    let user = |arn: &str| Caller::User { arn: arn.to_owned() };
    let web = Caller::WebIdentity { provider: PROVIDER.to_owned() };
    let service = Caller::Service { name: "s3.amazonaws.com".to_owned() };
    let aws = |names: &[&str]| serde_json::json!({"AWS": names}).to_string();
    let cases = [
        (aws(&[BOB, ROOT]), user(BOB), true),
        (aws(&[BOB, "111122223333"]), user(BOB), true),
        (aws(&[BOB]), user(BOB), false),
        (aws(&[ROOT]), user(BOB), false),
        (aws(&[ROOT]), user(ROOT), true),
        (aws(&[BOB, ROOT]), user(ROOT), true),
        (aws(&[BOB]), user(ROOT), false),
        (aws(&[BOB, ROOT]), user("arn:aws:iam::111122223333:user/Eve"), false),
        (aws(&[BOB, "arn:aws-cn:iam::111122223333:root"]), user(BOB), false),
        (aws(&[BOB, "arn:aws:iam::444455556666:root"]), user(BOB), false),
        (aws(&[BOB, ROOT]), session(), false),
        (aws(&[ROLE, ROOT]), session(), false),
        (aws(&[SESSION, ROLE]), session(), false),
        (aws(&[SESSION, ROOT]), session(), false),
        (aws(&[SESSION, ROLE, ROOT]), session(), true),
        (aws(&["arn:aws:sts::111122223333:assumed-role/deploy/you", ROLE, ROOT]), session(), false),
        (aws(&["*"]), session(), true),
        (r#""*""#.to_owned(), session(), true),
        (r#""*""#.to_owned(), Caller::Anonymous, true),
        (aws(&[BOB, ROOT]), Caller::Anonymous, false),
        (aws(&[BOB, ROOT]), service.clone(), false),
        (r#"{"Service": "s3.amazonaws.com"}"#.to_owned(), service.clone(), true),
        (r#"{"Service": "sns.amazonaws.com"}"#.to_owned(), service, false),
        (format!(r#"{{"Federated": "{PROVIDER}"}}"#), web.clone(), true),
        (format!(r#"{{"Federated": "{PROVIDER}/x"}}"#), web, false),
    ];
    for (named, caller, spared) in cases {
        let resource = policy(&format!(r#"{{"Effect":"Deny","NotPrincipal":{named},"Action":"s3:*","Resource":"*"}}"#));
        let context = Context::new();
        let request =
            Request { caller: &caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
        let policies = Policies { identity: &[], session: None, resource: Some(&resource), same_account: true };
        let denied = access(policies, request).outcome == Outcome::ExplicitDeny;
        assert_eq!(denied, !spared, "{named} {caller:?}");
    }
}

/// With Allow, everyone is let in whom `NotPrincipal` does not name.
#[test]
fn whom_not_principal_with_allow_lets_in() {
    let cases = [
        (format!(r#"{{"AWS":"{ROLE}"}}"#), session(), false),
        (format!(r#"{{"AWS":"{SESSION}"}}"#), session(), false),
        (r#"{"AWS":"111122223333"}"#.to_owned(), session(), true),
        (r#"{"AWS":"arn:aws:iam::111122223333:role/other"}"#.to_owned(), session(), true),
        (format!(r#"{{"AWS":"{ROLE}"}}"#), Caller::Anonymous, true),
        (r#""*""#.to_owned(), session(), false),
        (
            r#"{"Service":"s3.amazonaws.com"}"#.to_owned(),
            Caller::Service { name: "s3.amazonaws.com".to_owned() },
            false,
        ),
    ];
    for (named, caller, expected) in cases {
        let resource =
            policy(&format!(r#"{{"Effect":"Allow","NotPrincipal":{named},"Action":"s3:*","Resource":"*"}}"#));
        let context = Context::new();
        let request =
            Request { caller: &caller, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", context: &context };
        let policies = Policies { identity: &[], session: None, resource: Some(&resource), same_account: true };
        assert_eq!(access(policies, request).is_allowed(), expected, "{named} {caller:?}");
    }
}

/// A key that requests of the action never have is absent, whatever the context holds.
#[test]
fn keys_that_the_action_never_has_are_absent() {
    let caller = session();
    let allows = |action: &str, resource: &str, key: &str| {
        let policy = policy(&format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"StringEquals":{{"{key}":"v"}}}}}}"#
        ));
        let context = Context::new().with(key, "v");
        let request = Request { caller: &caller, action, resource, context: &context };
        access(Policies { identity: &[policy], session: None, resource: None, same_account: true }, request)
            .is_allowed()
    };
    for (action, key, expected) in [
        ("s3:ListBucket", "s3:prefix", true),
        ("s3:GetObject", "s3:prefix", false),
        ("S3:getobject", "S3:PREFIX", false),
        ("s3:PutObject", "s3:ExistingObjectTag/a", false),
        ("s3:PutObject", "s3:RequestObjectTag/a", true),
        ("s3:GetObject", "sts:ExternalId", false),
        ("s3:GetObject", "aws:SourceIp", true),
        ("s3:GetObject", "team", true),
        ("sqs:SendMessage", "s3:prefix", true),
    ] {
        assert_eq!(allows(action, "arn:aws:s3:::b/x", key), expected, "{action} {key}");
    }
}
