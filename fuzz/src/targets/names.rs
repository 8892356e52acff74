//! Ids, ARNs and other names: one spelling each, and what we take for a role's ARN AWS does, too.

use std::{fmt::Display, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};
use tagmint_core::{
    claims::{self, Audience, Subject},
    environment::Environment,
    id::{BearerId, MintId, RefusalId, RequestId, SessionId},
    rules::RuleName,
    signing_key::{Algorithm, KeyId},
    tags::TagKey,
};
use tagmint_iam::arn::{self, Arn};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    id::<MintId>(text);
    id::<RefusalId>(text);
    id::<SessionId>(text);
    id::<BearerId>(text);
    id::<RequestId>(text);
    same::<Environment>(text);
    same::<Algorithm>(text);
    same::<KeyId>(text);
    for kept in [
        Subject::parse(text).ok().map(|subject| subject.as_str().to_owned()),
        Audience::parse(text).ok().map(|audience| audience.as_str().to_owned()),
        RuleName::parse(text).ok().map(|name| name.as_str().to_owned()),
        TagKey::parse(text).ok().map(|key| key.as_str().to_owned()),
        claims::RoleArn::parse(text).ok().map(|arn| arn.as_str().to_owned()),
    ] {
        assert!(kept.is_none_or(|kept| kept == text));
    }
    if let Some(arn) = Arn::split(text) {
        let Arn { partition, service, region, account, resource } = arn;
        assert_eq!(format!("arn:{partition}:{service}:{region}:{account}:{resource}"), text);
        assert_eq!(arn.has_account(), arn::is_account(account));
    }
    let aws = arn::RoleArn::parse(text);
    if let Some(role) = aws {
        assert!(text.ends_with(&format!("/{}", role.name)));
        let session = role.session("me");
        assert!(Arn::split(&session).is_some_and(|arn| arn.service == "sts" && arn.account == role.account));
    }
    assert!(claims::RoleArn::parse(text).is_err() || aws.is_some(), "a role's ARN for us, and none for AWS");
}

fn id<T: FromStr + Display + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) {
    let Some(id) = same::<T>(text) else { return };
    let json = serde_json::to_string(&id).expect("an id is JSON");
    assert_eq!(serde_json::from_str::<T>(&json).expect("it reads back"), id);
}

fn same<T: FromStr + Display>(text: &str) -> Option<T> {
    let value = text.parse::<T>().ok()?;
    assert_eq!(value.to_string(), text, "a name with two spellings");
    Some(value)
}
