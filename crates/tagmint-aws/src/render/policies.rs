//! Trust policy, bucket policy, and a role's own policy.
//!
//! Who may do what in the bucket stands in one place, the bucket policy. A role's own policy grants nothing there, so it cannot mask the bucket
//! policy, and its denials hold when somebody attaches a broad policy to the role or loosens the bucket's.

use serde_json::{Map, Value, json};

use super::{
    groups::Group,
    plan::{ProviderPlan, RolePlan},
    settings::{Access, Mode, Settings},
};

/// The name of a role's own policy.
pub const GUARD_POLICY: &str = "tagmint-own-prefix-alone";

/// What reading takes, below a prefix.
const READ: [&str; 1] = ["s3:GetObject"];
/// What writing takes beside it. Uploads in parts need the last two.
const WRITE: [&str; 4] = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
const LIST: &str = "s3:ListBucket";
/// Stands in denials for the prefix of a session that has none.
const NO_PREFIX: &str = "-";

/// A role's trust policy: one statement for the rules whose tokens have the same tags.
pub(super) fn trust(provider: &ProviderPlan, host: &str, groups: &[Group], settings: &Settings) -> Value {
    let mut sids = Sids::default();
    let statements = groups.iter().map(|group| {
        let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
        if !group.tags.is_empty() {
            actions.push("sts:TagSession");
        }
        if settings.source_identity {
            actions.push("sts:SetSourceIdentity");
        }
        json!({
            "Sid": sids.next(&camel(&group.rules[0])),
            "Effect": "Allow",
            "Principal": {"Federated": provider.arn},
            "Action": one_or_many(actions),
            "Condition": trust_conditions(host, group, settings),
        })
    });
    document(statements.collect())
}

fn trust_conditions(host: &str, group: &Group, settings: &Settings) -> Value {
    let mut like = Map::new();
    let mut unlike = Map::new();
    like.insert(format!("{host}:sub"), one_or_many(&group.subjects));
    for prefix in &group.prefixes {
        let key = format!("aws:RequestTag/{}", prefix.tag);
        like.insert(key.clone(), one_or_many(&prefix.like));
        unlike.insert(key, one_or_many(&prefix.unlike));
    }
    let mut conditions = Map::new();
    conditions.insert("StringEquals".to_owned(), json!({format!("{host}:aud"): one_or_many(&group.audiences)}));
    conditions.insert("StringLike".to_owned(), Value::Object(like));
    if !unlike.is_empty() {
        conditions.insert("StringNotLike".to_owned(), Value::Object(unlike));
    }
    // `StringNotEquals` with an empty text would be true for a missing tag.
    let mut absent: Map<String, Value> =
        group.required.iter().map(|key| (format!("aws:RequestTag/{key}"), json!("false"))).collect();
    if group.tags.is_empty() {
        absent.insert("aws:TagKeys".to_owned(), json!("true"));
    } else {
        // Over an empty set this is true: that tags are there is what `Null` asks.
        let keys: Vec<&String> = group.tags.iter().collect();
        conditions.insert("ForAllValues:StringEquals".to_owned(), json!({"aws:TagKeys": one_or_many(keys)}));
    }
    if !absent.is_empty() {
        conditions.insert("Null".to_owned(), Value::Object(absent));
    }
    if settings.roles_claim {
        conditions.insert("Bool".to_owned(), json!({"sts:RoleAuthorizedByIdp": "true"}));
    }
    Value::Object(conditions)
}

/// The bucket's policy: what each role's sessions reach by their tags, and what nobody does.
pub(super) fn bucket(bucket: &str, roles: &[RolePlan]) -> Value {
    let mut sids = Sids::default();
    let mut statements = Vec::new();
    let objects = format!("{bucket}/*");
    let both = json!([bucket, objects]);
    for role in roles.iter().filter(|role| !role.access.is_empty()) {
        let principal = json!({"AWS": role.arn});
        let whose = if roles.len() > 1 { camel(&role.name) } else { String::new() };
        for access in &role.access {
            let tag = camel(&access.tag);
            statements.push(json!({
                "Sid": sids.next(&format!("List{whose}{tag}")),
                "Effect": "Allow",
                "Principal": principal,
                "Action": LIST,
                "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": below(access)}},
            }));
            let actions: Vec<&str> = match access.mode {
                Mode::Read => READ.to_vec(),
                Mode::ReadWrite => READ.into_iter().chain(WRITE).collect(),
            };
            let verb = if access.mode == Mode::Read { "Read" } else { "Write" };
            statements.push(json!({
                "Sid": sids.next(&format!("{verb}{whose}{tag}")),
                "Effect": "Allow",
                "Principal": principal,
                "Action": one_or_many(actions),
                "Resource": format!("{bucket}/{}", below(access)),
            }));
        }
        let untagged: Map<String, Value> =
            role.access.iter().map(|access| (format!("aws:PrincipalTag/{}", access.tag), json!("true"))).collect();
        statements.push(json!({
            "Sid": sids.next(&format!("NothingWithoutTags{whose}")),
            "Effect": "Deny",
            "Principal": principal,
            "Action": "s3:*",
            "Resource": both,
            "Condition": {"Null": untagged},
        }));
        let prefixes: Vec<String> = role.access.iter().map(below_or_nothing).collect();
        statements.push(json!({
            "Sid": sids.next(&format!("NoOtherList{whose}")),
            "Effect": "Deny",
            "Principal": principal,
            "Action": LIST,
            "Resource": bucket,
            "Condition": {"StringNotLike": {"s3:prefix": one_or_many(&prefixes)}},
        }));
        statements.push(json!({
            "Sid": sids.next(&format!("NoOtherAction{whose}")),
            "Effect": "Deny",
            "Principal": principal,
            "NotAction": used(&role.access),
            "Resource": both,
        }));
    }
    statements.push(json!({
        "Sid": sids.next("TlsAlone"),
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": both,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }));
    document(statements)
}

/// What a session needs to open one of a second role: its transitive tags and its source identity go along.
const CHAIN: [&str; 3] = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];

/// A role's own policy: denials of everything that the bucket policy does not grant anyway, and the roles that its sessions assume at once
/// (`next`). None where there is nothing to say.
pub(super) fn own(bucket: Option<&str>, access: &[Access], next: &[String]) -> Option<Value> {
    let mut statements =
        bucket.filter(|_| !access.is_empty()).map_or_else(Vec::new, |bucket| guard(bucket, access, next));
    if !next.is_empty() {
        statements.push(json!({"Sid": "NextRole", "Effect": "Allow", "Action": CHAIN, "Resource": one_or_many(next)}));
    }
    (!statements.is_empty()).then(|| document(statements))
}

fn guard(bucket: &str, access: &[Access], next: &[String]) -> Vec<Value> {
    let prefixes = |of: &dyn Fn(&Access) -> bool| -> Vec<String> {
        access
            .iter()
            .filter(|access| of(access))
            .map(|access| format!("{bucket}/{}", below_or_nothing(access)))
            .collect()
    };
    let own = std::iter::once(bucket.to_owned()).chain(prefixes(&|_| true)).chain(next.iter().cloned());
    let own: Vec<String> = own.collect();
    let mut actions = used(access);
    if !next.is_empty() {
        actions.extend(CHAIN);
    }
    let lists: Vec<String> = access.iter().map(below_or_nothing).collect();
    let mut statements = vec![
        json!({"Sid": "NothingElse", "Effect": "Deny", "Action": "*", "NotResource": own}),
        json!({"Sid": "NoOtherAction", "Effect": "Deny", "NotAction": actions, "Resource": "*"}),
        json!({
            "Sid": "NoOtherList",
            "Effect": "Deny",
            "Action": LIST,
            "Resource": bucket,
            "Condition": {"StringNotLike": {"s3:prefix": one_or_many(&lists)}},
        }),
        json!({
            "Sid": "NobodysPrefix",
            "Effect": "Deny",
            "Action": "s3:*",
            "Resource": format!("{bucket}/{NO_PREFIX}/*"),
        }),
        json!({
            "Sid": "NobodysList",
            "Effect": "Deny",
            "Action": LIST,
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": format!("{NO_PREFIX}/*")}},
        }),
    ];
    let writable = prefixes(&|access| access.mode == Mode::ReadWrite);
    if !writable.is_empty() && writable.len() < access.len() {
        statements.push(json!({
            "Sid": "NoWriteWhereItReads",
            "Effect": "Deny",
            "Action": one_or_many(WRITE),
            "NotResource": one_or_many(&writable),
        }));
    }
    statements
}

/// Everything below a tag's value. With the slash: without it `team` would also open `team2`.
fn below(access: &Access) -> String {
    format!("${{aws:PrincipalTag/{}}}/*", access.tag)
}

/// The same in a denial, which must hold for a session without the tag. IAM's documentation leaves open whether a Deny whose variable has
/// no value denies or is dropped; with a default both readings deny. No session has the default as its prefix: separate statements
/// deny it.
fn below_or_nothing(access: &Access) -> String {
    format!("${{aws:PrincipalTag/{}, '{NO_PREFIX}'}}/*", access.tag)
}

/// All actions that the role's sessions may use.
fn used(access: &[Access]) -> Vec<&'static str> {
    let writes = access.iter().any(|access| access.mode == Mode::ReadWrite);
    let write = if writes { &WRITE[..] } else { &[] };
    std::iter::once(LIST).chain(READ).chain(write.iter().copied()).collect()
}

/// With the version that knows policy variables.
fn document(statements: Vec<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn one_or_many<T: AsRef<str>>(values: impl AsRef<[T]>) -> Value {
    match values.as_ref() {
        [value] => json!(value.as_ref()),
        values => values.iter().map(|value| json!(value.as_ref())).collect(),
    }
}

/// Statement ids of letters and digits, each once.
#[derive(Default)]
struct Sids(Vec<String>);

impl Sids {
    fn next(&mut self, wanted: &str) -> String {
        let again = (2..).map(|number| format!("{wanted}{number}"));
        let mut free = std::iter::once(wanted.to_owned()).chain(again).filter(|sid| !self.0.contains(sid));
        let sid = free.next().unwrap_or_default();
        self.0.push(sid.clone());
        sid
    }
}

/// `agentkeys_user_wallet` as `AgentkeysUserWallet`.
pub(super) fn camel(name: &str) -> String {
    let words = name.split(|character: char| !character.is_ascii_alphanumeric());
    words
        .map(|word| {
            let mut characters = word.chars();
            let first = characters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(characters).collect::<String>()
        })
        .collect()
}
