//! Both readings of a denial whose variable has no value: IAM's documentation leaves open whether it denies, and an evaluator may drop it.

use serde_json::json;
use tagmint_core::rules::MintRequest;
use tagmint_iam::{
    context::Context,
    evaluate::{Policies, Request, access},
    policy::{Effect, Policy},
    web_identity::Session,
};

use super::{
    judge::{Aws, WALLET, github_branch, gitlab, pull_request, wallet},
    reach::{READS, WRITES},
};

/// An evaluator that drops a denial in which a variable has no value.
fn without_unfilled_denials(policy: &Policy, context: &Context) -> Policy {
    let mut policy = policy.clone();
    policy.statements.retain(|statement| {
        let arns = statement.resource.iter().flat_map(|element| &element.arns);
        let mut texts = arns.chain(statement.conditions.iter().flat_map(|condition| &condition.values));
        statement.effect == Effect::Allow || texts.all(|text| text.resolve(context).is_ok())
    });
    policy
}

/// Whether a session may do something, under both readings.
fn allowed(aws: &Aws, session: &Session, action: &str, resource: &str, prefix: Option<&str>) -> [bool; 2] {
    let context = session.context("AROAEXAMPLE").with("aws:SecureTransport", "true");
    let context = prefix.into_iter().fold(context, |context, prefix| context.with("s3:prefix", prefix));
    let caller = session.caller();
    let request = Request { caller: &caller, action, resource, context: &context };
    [false, true].map(|drops| {
        let read = |policy: &Policy| if drops { without_unfilled_denials(policy, &context) } else { policy.clone() };
        let identity: Vec<Policy> = aws.role_policies.iter().map(read).collect();
        let bucket = aws.bucket_policy.as_ref().map(read);
        let policies = Policies { identity: &identity, session: None, resource: bucket.as_ref(), same_account: true };
        access(policies, request).is_allowed()
    })
}

/// With a policy attached that allows everything, each session reaches no prefix but its own. The default prefix of the denials is nobody's.
#[test]
fn foreign_accesses_are_refused_under_both_readings() {
    let administrator =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    for environment in ["prod", "test"] {
        let aws = Aws::of(environment).with_role_policy(&administrator);
        let identities = match environment {
            "prod" => [wallet(WALLET), github_branch("main", "11"), gitlab("push", "main", "12")],
            _ => [wallet(WALLET), pull_request(7, "11"), gitlab("merge_request_event", "fix", "13")],
        };
        let mut sessions: Vec<Session> = identities
            .iter()
            .map(|identity| {
                aws.assume(&aws.claims(identity, &MintRequest::default())).unwrap_or_else(|error| panic!("{error}"))
            })
            .collect();
        let own: Vec<String> = sessions.iter().map(prefix).collect();
        // One without any tag, as a loosened trust policy would let in.
        let untagged = Session { tags: Vec::new(), ..sessions[0].clone() };
        sessions.push(untagged);
        let foreign = ["", "-", "pr-8/run-1", "0xb2", "other"].map(str::to_owned);
        let (mut tried, mut refused) = (0, 0);
        for (index, session) in sessions.iter().enumerate() {
            let mine = own.get(index);
            for other in own.iter().chain(&foreign).filter(|other| Some(*other) != mine) {
                let object = format!("{}/{other}/mail.txt", aws.bucket());
                let listing = format!("{other}/");
                let listed = allowed(&aws, session, "s3:ListBucket", &aws.bucket(), Some(&listing));
                let actions = READS.into_iter().chain(WRITES).chain(["s3:GetObjectVersion", "s3:PutObjectAcl"]);
                let touched = actions.map(|action| allowed(&aws, session, action, &object, None));
                for outcome in touched.chain([listed]).flatten() {
                    tried += 1;
                    refused += usize::from(!outcome);
                }
            }
            if let Some(mine) = mine {
                let object = format!("{}/{mine}/mail.txt", aws.bucket());
                assert_eq!(allowed(&aws, session, "s3:GetObject", &object, None), [true, true], "{mine}");
                let listing = format!("{mine}/");
                assert_eq!(allowed(&aws, session, "s3:ListBucket", &aws.bucket(), Some(&listing)), [true, true]);
            }
        }
        assert!(tried > 400, "{tried}");
        assert_eq!(refused, tried, "{environment}");
    }
}

/// The value of the tag that opens the bucket.
fn prefix(session: &Session) -> String {
    let opens = |key: &str| ["agentkeys_user_wallet", "prefix"].contains(&key);
    session.tags.iter().find(|(key, _)| opens(key)).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// A session whose tag has the denials' default prefix as its value reaches nothing.
#[test]
fn the_default_prefix_is_nobodys() {
    for environment in ["prod", "test"] {
        let aws = Aws::of(environment);
        let mut session = aws.assume(&aws.claims(&wallet(WALLET), &MintRequest::default())).unwrap();
        for value in ["-", "-/x"] {
            session.tags = vec![("agentkeys_user_wallet".to_owned(), value.to_owned())];
            let object = format!("{}/{value}/mail.txt", aws.bucket());
            let listing = format!("{value}/");
            for outcome in [
                allowed(&aws, &session, "s3:GetObject", &object, None),
                allowed(&aws, &session, "s3:ListBucket", &aws.bucket(), Some(&listing)),
            ] {
                assert_eq!(outcome, [false, false], "{environment} {value}");
            }
        }
    }
}
