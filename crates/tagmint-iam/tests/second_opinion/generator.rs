//! The corpus: the same pairs in every run.

use serde_json::{Map, Value, json};
use tagmint_iam::{
    condition::Operator,
    policy::{Kind, Policy},
};

use crate::{
    case::{Case, Question},
    conditions::{Keys, any_condition, condition, element, variables},
    random::Dice,
};

const ACCOUNT: &str = "111122223333";
const OTHER_ACCOUNT: &str = "444455556666";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/me";
const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";
const USER: &str = "arn:aws:iam::111122223333:user/bob";
const OTHER_SESSION: &str = "arn:aws:sts::444455556666:assumed-role/audit/me";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
const SERVICE: &str = "ec2.amazonaws.com";

/// Pairs for each condition operator.
const PER_OPERATOR: usize = 12;

/// Every pair, named, none twice.
pub fn corpus() -> Vec<Case> {
    let operators: Vec<Operator> = Operator::all().collect();
    let mut dice = Dice::new(3);
    let mut cases = Vec::new();
    for operator in &operators {
        cases.extend((0..PER_OPERATOR).map(|_| one_condition(&mut dice, *operator)));
    }
    cases.extend((0..500).map(|_| actions_and_resources(&mut dice)));
    cases.extend((0..500).map(|_| principals(&mut dice)));
    cases.extend((0..400).map(|_| trust(&mut dice, &operators)));
    cases.extend((0..500).map(|_| mixture(&mut dice, &operators)));
    cases.retain(has_complete_session_policy);
    let mut cases: Vec<Case> = cases.into_iter().map(Case::named).collect();
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    cases.dedup();
    cases
}

/// Whether STS takes the session policy: it refuses incomplete ARNs there.
fn has_complete_session_policy(case: &Case) -> bool {
    case.session.as_ref().is_none_or(|policy| Policy::parse_as(Kind::Session, &policy.to_string()).is_ok())
}

/// One statement with one condition, as an allowance or as a denial beside an allowance.
fn one_condition(dice: &mut Dice, operator: Operator) -> Case {
    let mut keys = Keys::new();
    let condition = element(vec![condition(dice, operator, &mut keys)]);
    variables(dice, &mut keys);
    let statements = if dice.percent(70) {
        vec![statement("Allow", json!({"Action": "s3:GetObject", "Resource": "*", "Condition": condition}))]
    } else {
        vec![
            statement("Allow", json!({"Action": "*", "Resource": "*"})),
            statement("Deny", json!({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*", "Condition": condition})),
        ]
    };
    let identity = vec![policy(dice, statements)];
    Case { identity, context: keys, ..access(SESSION, "s3:GetObject", "arn:aws:s3:::bucket/red/x") }
}

/// `Action`, `NotAction`, `Resource`, `NotResource` with wildcards, variables and odd cases of letters.
fn actions_and_resources(dice: &mut Dice) -> Case {
    let (action, resource) = request(dice);
    let mut keys = Keys::new();
    variables(dice, &mut keys);
    let mut statements = vec![statement(dice.of(&["Allow", "Allow", "Deny"]), what(dice))];
    if statements[0]["Effect"] == "Deny" || dice.percent(20) {
        statements.push(statement("Allow", json!({"Action": "s3:*", "Resource": "*"})));
    }
    let identity = vec![policy(dice, statements)];
    Case { identity, context: keys, ..access(SESSION, action, resource) }
}

/// A resource's policy beside the caller's own, a session policy, and another account.
fn principals(dice: &mut Dice) -> Case {
    let (action, resource) = request(dice);
    let caller = dice.of(&[SESSION, SESSION, USER, OTHER_SESSION, "anonymous"]);
    let everything = json!({"Action": "s3:*", "Resource": "*"});
    let elsewhere = json!({"Action": "sqs:*", "Resource": "*"});
    let mut statements = vec![with_principal(dice, dice_effect, everything.clone())];
    if dice.percent(40) {
        let what = what(dice);
        statements.push(with_principal(dice, dice_effect, what));
    }
    let own = match dice.below(10) {
        _ if caller == "anonymous" => Vec::new(),
        0..=3 => Vec::new(),
        4..=7 => vec![policy(dice, vec![statement("Allow", everything.clone())])],
        8 => vec![policy(dice, vec![statement("Deny", everything.clone())])],
        _ => vec![policy(dice, vec![statement("Allow", elsewhere.clone())])],
    };
    let session = (caller == SESSION && dice.percent(40)).then(|| {
        let content = if dice.percent(50) { everything } else { elsewhere };
        json!({"Version": "2012-10-17", "Statement": statement("Allow", content)})
    });
    let policy = Some(policy(dice, statements));
    Case { identity: own, session, policy, ..access(caller, action, resource) }
}

/// A trust policy and somebody who wants to assume the role.
fn trust(dice: &mut Dice, operators: &[Operator]) -> Case {
    let (caller, action) = dice.of(&[
        (PROVIDER, "sts:AssumeRoleWithWebIdentity"),
        (PROVIDER, "sts:AssumeRoleWithWebIdentity"),
        (PROVIDER, "sts:AssumeRoleWithWebIdentity"),
        (SESSION, "sts:AssumeRole"),
        (USER, "sts:AssumeRole"),
        (SERVICE, "sts:AssumeRole"),
    ]);
    let mut keys = Keys::new();
    let mut statements = Vec::new();
    for _ in 0..dice.of(&[1, 1, 2]) {
        let actions = [
            json!("sts:AssumeRoleWithWebIdentity"),
            json!(["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
            json!("sts:AssumeRole*"),
            json!("STS:*"),
            json!("sts:AssumeRole"),
        ];
        let mut members = json!({"Action": actions[dice.below(actions.len())]});
        if dice.percent(70) {
            let mut conditions = Vec::new();
            if dice.percent(50) {
                conditions.push(any_condition(dice, operators, &mut keys));
            }
            if caller == PROVIDER {
                conditions.push(claim(dice, &mut keys));
            }
            if !conditions.is_empty() {
                members["Condition"] = element(conditions);
            }
        }
        statements.push(with_principal(dice, |dice| dice.of(&["Allow", "Allow", "Allow", "Deny"]), members));
    }
    variables(dice, &mut keys);
    let policy = Some(policy(dice, statements));
    Case { kind: Question::Trust, policy, context: keys, ..access(caller, action, ROLE) }
}

/// A condition on what the token said.
fn claim(dice: &mut Dice, keys: &mut Keys) -> (String, String, Value) {
    let (key, held, said): (&str, &[&str], &[&str]) = dice.of(&[
        ("token.actions.githubusercontent.com:repository", &["o/r", "o/r2", "O/r"], &["o/r", "o/*", "*/r", "o/?"]),
        (
            "token.actions.githubusercontent.com:ref",
            &["refs/heads/main", "refs/tags/v1"],
            &["refs/heads/main", "refs/heads/*", "refs/*/v?"],
        ),
        ("aws:RequestTag/team", &["red", "blue", ""], &["red", "", "*"]),
        ("sts:RoleSessionName", &["me", "red-1"], &["me", "${aws:RequestTag/team}-1", "red-?"]),
        ("sts:SourceIdentity", &["red", "me"], &["${aws:RequestTag/team}", "me", "*"]),
    ]);
    if dice.percent(85) {
        keys.insert(key.to_owned(), vec![dice.of(held).to_owned()]);
    }
    let operator = dice.of(&[
        "StringEquals",
        "StringLike",
        "StringNotEquals",
        "StringEqualsIfExists",
        "StringEqualsIgnoreCase",
        "Null",
    ]);
    let value = if operator == "Null" { dice.of(&["true", "false"]) } else { dice.of(said) };
    (operator.to_owned(), key.to_owned(), json!(value))
}

/// Several statements with several conditions in policies of every kind.
fn mixture(dice: &mut Dice, operators: &[Operator]) -> Case {
    let (action, resource) = request(dice);
    let caller = dice.of(&[SESSION, SESSION, SESSION, USER, OTHER_SESSION]);
    let mut keys = Keys::new();
    let mut statements = |dice: &mut Dice, count: usize| -> Vec<Value> {
        (0..count)
            .map(|_| {
                let mut members =
                    if dice.percent(60) { json!({"Action": "s3:*", "Resource": "*"}) } else { what(dice) };
                let conditions: Vec<_> =
                    (0..dice.of(&[0, 1, 1, 2])).map(|_| any_condition(dice, operators, &mut keys)).collect();
                if !conditions.is_empty() {
                    members["Condition"] = element(conditions);
                }
                statement(dice.of(&["Allow", "Allow", "Allow", "Deny"]), members)
            })
            .collect()
    };
    let mut identity = Vec::new();
    for _ in 0..dice.of(&[0, 1, 1, 2]) {
        let count = dice.of(&[1, 2, 3]);
        let statements = statements(dice, count);
        identity.push(policy(dice, statements));
    }
    let session = (caller == SESSION && dice.percent(20)).then(|| {
        let statements = statements(dice, 1);
        policy(dice, statements)
    });
    let resource_policy = dice.percent(60).then(|| {
        let count = dice.of(&[1, 2]);
        let mut statements = statements(dice, count);
        for statement in &mut statements {
            add_principal(dice, statement);
        }
        policy(dice, statements)
    });
    variables(dice, &mut keys);
    Case { identity, session, policy: resource_policy, context: keys, ..access(caller, action, resource) }
}

fn access(principal: &str, action: &str, resource: &str) -> Case {
    Case {
        id: String::new(),
        kind: Question::Access,
        principal: principal.to_owned(),
        account: ACCOUNT.to_owned(),
        action: action.to_owned(),
        resource: resource.to_owned(),
        context: Keys::new(),
        identity: Vec::new(),
        session: None,
        policy: None,
    }
}

fn request(dice: &mut Dice) -> (&'static str, &'static str) {
    if dice.percent(75) {
        let action = dice.of(&["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]);
        (action, dice.of(OBJECTS))
    } else {
        (dice.of(&["s3:ListBucket", "s3:GetBucketPolicy"]), dice.of(&["arn:aws:s3:::bucket", "arn:aws:s3:::other"]))
    }
}

const OBJECTS: &[&str] = &[
    "arn:aws:s3:::bucket/red/x",
    "arn:aws:s3:::bucket/Red/x",
    "arn:aws:s3:::bucket/red",
    "arn:aws:s3:::bucket/a:b/c",
    "arn:aws:s3:::other/red/x",
    "arn:aws:s3:::bucket/re?/x",
    "arn:aws:s3:::red/x",
];

const ACTIONS: &[&str] = &[
    "*",
    "s3:*",
    "s3:*",
    "s3:Get*",
    "S3:getobject",
    "s3:GetObject",
    "s3:PutObject",
    "s3:?etObject",
    "s3:*Object",
    "s3:GetObject*",
    "s3:GetObject?",
    "s3:List*",
    "sts:*",
    "s3:Delete*",
];

const RESOURCES: &[&str] = &[
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::bucket*",
    "arn:aws:s3:::bucket/*",
    "arn:aws:s3:::bucket/red/*",
    "arn:aws:s3:::bucket/?ed/x",
    "arn:aws:s3:::b*/x",
    "arn:aws:s3:::*/x",
    "arn:aws:s3:::BUCKET/*",
    "arn:aws:s3:::bucket/a:*",
    "arn:aws:s3:*:*:bucket/*",
    "arn:*:s3:::bucket/*",
    "arn:aws:s3:*",
    "arn:aws:s3",
    "arn:aws:*",
    "arn:aws:sqs:*",
    "arn:aws:s3:*/x",
    "arn:aws:s3:eu-west-1::bucket/*",
    "arn:aws:S3:::bucket/*",
    "arn:aws:s3::111122223333:bucket/*",
    "arn:aws:s3:::bucket/re${?}/x",
    "arn:aws:s3:::bucket/red/${*}",
    "arn:aws:s3:::${aws:PrincipalTag/team}/x",
    "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*",
    "arn:aws:s3:::bucket/${aws:PrincipalTag/team}*",
    "arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'red'}/*",
    "arn:aws:s3:::bucket/${aws:RequestTag/none}/*",
    "arn:aws:s3:::bucket/${aws:RequestTag/none, 'red'}/?",
];

/// What a statement is about.
fn what(dice: &mut Dice) -> Value {
    let mut members = Map::new();
    let action = if dice.percent(80) { "Action" } else { "NotAction" };
    members.insert(action.to_owned(), one_or_more(dice, ACTIONS));
    let resource = if dice.percent(80) { "Resource" } else { "NotResource" };
    members.insert(resource.to_owned(), one_or_more(dice, RESOURCES));
    Value::Object(members)
}

fn one_or_more(dice: &mut Dice, choices: &[&str]) -> Value {
    let count = dice.of(&[1, 1, 1, 2]);
    let chosen = dice.some(count, choices);
    if chosen.len() == 1 && dice.percent(70) { json!(chosen[0]) } else { json!(chosen) }
}

fn statement(effect: &str, members: Value) -> Value {
    let mut statement = Map::from_iter([("Effect".to_owned(), json!(effect))]);
    if let Value::Object(members) = members {
        statement.extend(members);
    }
    Value::Object(statement)
}

fn dice_effect(dice: &mut Dice) -> &'static str {
    dice.of(&["Allow", "Allow", "Allow", "Deny"])
}

fn with_principal(dice: &mut Dice, effect: fn(&mut Dice) -> &'static str, members: Value) -> Value {
    let mut statement = statement(effect(dice), members);
    add_principal(dice, &mut statement);
    statement
}

/// `Principal`, or beside a denial sometimes `NotPrincipal`: AWS doesn't support that beside an allowance.
fn add_principal(dice: &mut Dice, statement: &mut Value) {
    let root = "arn:aws:iam::111122223333:root";
    let principals = [
        json!("*"),
        json!({"AWS": "*"}),
        json!({"AWS": ROLE}),
        json!({"AWS": SESSION}),
        json!({"AWS": [USER, ROLE]}),
        json!({"AWS": ACCOUNT}),
        json!({"AWS": root}),
        json!({"AWS": OTHER_ACCOUNT}),
        json!({"AWS": [OTHER_SESSION, "arn:aws:iam::444455556666:role/audit"]}),
        json!({"Federated": PROVIDER}),
        json!({"Federated": PROVIDER, "AWS": ROLE}),
        json!({"Federated": [PROVIDER, "arn:aws:iam::111122223333:oidc-provider/other.example.test"]}),
        json!({"Service": SERVICE}),
        json!({"AWS": "arn:aws:iam::111122223333:role/other"}),
        json!({"AWS": "arn:aws:sts::111122223333:assumed-role/deploy/you"}),
        json!({"AWS": [SESSION, ROLE, root]}),
        json!({"AWS": [USER, root]}),
    ];
    let chosen = principals[dice.below(principals.len())].clone();
    let not = statement["Effect"] == "Deny" && dice.percent(40) && chosen != "*" && chosen["AWS"] != "*";
    statement[if not { "NotPrincipal" } else { "Principal" }] = chosen;
}

fn policy(dice: &mut Dice, statements: Vec<Value>) -> Value {
    let mut policy = Map::new();
    match dice.below(20) {
        0 => {}
        1 => drop(policy.insert("Version".to_owned(), json!("2008-10-17"))),
        _ => drop(policy.insert("Version".to_owned(), json!("2012-10-17"))),
    }
    let single = statements.len() == 1 && dice.percent(50);
    let content = if single { statements.into_iter().next().unwrap() } else { Value::Array(statements) };
    policy.insert("Statement".to_owned(), content);
    Value::Object(policy)
}
