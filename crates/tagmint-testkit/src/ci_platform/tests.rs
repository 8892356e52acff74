use tagmint_core::{clock::SystemClock, jwk::VerificationKeys};

use super::*;
use crate::clock::MockClock;

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_names_the_platform_and_its_key_and_is_of_now() {
    let clock = MockClock::default();
    let platform = CiPlatform::start(Arc::new(clock.clone())).await;
    let claims = Map::from_iter([("iss".to_owned(), json!("https://token.actions.githubusercontent.com"))]);
    let token = platform.token(&claims);
    assert_eq!(part(&token, 1)["iss"], platform.issuer());
    assert_eq!(part(&token, 1)["iat"], clock.now().as_second());
    assert_ne!(part(&token, 1)["jti"], part(&platform.token(&claims), 1)["jti"]);

    let kid = platform.rotate(Algorithm::Es256);
    let header = part(&platform.token(&claims), 0);
    assert_eq!((&header["kid"], &header["alg"]), (&json!(kid), &json!("ES256")));
    assert_eq!(platform.shared.jwks().keys.len(), 2);
    platform.withdraw_others();
    let published = serde_json::to_vec(&platform.shared.jwks()).unwrap();
    assert!(VerificationKeys::parse(&published).unwrap().find(&kid, Algorithm::Es256).is_some());
    assert_eq!(platform.shared.jwks().keys.len(), 1);
    platform.sign_with_unpublished_key();
    assert_ne!(part(&platform.token(&claims), 0)["kid"], kid);
    assert_eq!(platform.shared.jwks().keys.len(), 1);
}

#[tokio::test]
async fn the_jobs_token_is_for_the_audience_that_it_asked_for() {
    let platform = CiPlatform::start(Arc::new(SystemClock)).await;
    platform.set_job(Map::from_iter([
        ("repository_owner".to_owned(), json!("octo-org")),
        ("exp".to_owned(), json!(1)),
        ("jti".to_owned(), json!("always the same")),
    ]));
    let asked = part(&platform.shared.job_token(Some("https://broker.example".to_owned())), 1);
    assert_eq!(asked["aud"], "https://broker.example");
    assert!(asked["exp"].as_i64() > asked["iat"].as_i64(), "{asked}");
    assert_ne!(asked["jti"], "always the same");
    assert_eq!(part(&platform.shared.job_token(None), 1)["aud"], "https://github.com/octo-org");
}
