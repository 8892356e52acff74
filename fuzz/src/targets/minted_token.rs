//! Whatever the types of claims and session tags let through makes a token that our own check and STS accept.
//!
//! Parts: subject, audience, tags (`KEY=VALUE` a line), transitive keys, roles (one a line).

use crate::{lines, pairs, sections, world};
use tagmint_core::{
    claims::{Audience, Claims, Lifetime, OptionalClaims, RoleArn, Subject},
    issuer::IssuerUrl,
    jws::{self, Expected, SignError},
    tags::SessionTags,
};
use tagmint_iam::{
    context::Context,
    web_identity::{self, Fetched, World},
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some([subject, audience, tags, transitive, roles]) = sections(data) else { return };
    let tags = pairs(tags);
    let (Ok(subject), Ok(audience), Ok(tags), Ok(roles)) = (
        Subject::parse(subject),
        Audience::parse(audience),
        SessionTags::new(tags.iter().map(|(key, value)| (key, value)), lines(transitive)),
        lines(roles).iter().map(|role| RoleArn::parse(role)).collect::<Result<Vec<_>, _>>(),
    ) else {
        return;
    };
    let claims = Claims {
        issuer: IssuerUrl::parse(world::ISSUER).expect("an issuer"),
        subject,
        audience,
        mint_id: "mnt_01K5N0000000000000000000AB".parse().expect("an id"),
        issued_at: world::now(),
        lifetime: Lifetime::DEFAULT,
        tags,
        roles,
        optional: OptionalClaims::default(),
    };
    let token = match jws::sign(&claims, &*world::KEY) {
        Ok(token) => token,
        Err(SignError::Claim(_)) => return,
        Err(error) => panic!("{error}"),
    };

    let audience = claims.audience.as_str();
    let expected = Expected { issuer: world::ISSUER, audience, now: world::now(), leeway_seconds: 0 };
    let verified = jws::verify(token.expose(), &world::KEYS, &expected).expect("our own check accepts it");
    assert_eq!(verified.claims["sub"], claims.subject.as_str());

    let role_arn = claims.roles.first().map_or(world::ROLE_ARN, RoleArn::as_str);
    let provider = world::provider(world::ISSUER, audience);
    let role = world::role(role_arn, &provider);
    let world = World {
        provider: Some(&provider),
        discovery: None,
        jwks: Fetched::Document(world::JWKS),
        role: Some(&role),
        base: &Context::new(),
        now: world::now(),
    };
    let report = web_identity::verdict(&world::request(token.expose(), role_arn), &world);
    let session = report.session().unwrap_or_else(|| panic!("STS refuses: {:?}", report.refusal()));
    assert_eq!(session.subject, claims.subject.as_str());
    assert_eq!(session.role_authorized_by_idp, !claims.roles.is_empty());
    let given: Vec<_> = claims.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let taken: Vec<_> = session.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(given, taken);
}
