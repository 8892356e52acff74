//! What the cache of discovery and the key set does, while the issuer works and while it does not.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{
    DISCOVERY, JWKS, SOMEBODY, TestResult, cache_status,
    guard::Nginx,
    header,
    issuer::{Issuer, StandIn},
    open_session,
};

#[tokio::test]
async fn keys_are_served_while_the_issuer_is_down() -> TestResult {
    let nginx = Nginx::start()?;
    let mut issuer = Issuer::start(&nginx)?;
    let client = nginx.client(SOMEBODY)?;
    let site = &nginx.test;
    let session = open_session(&client, site).await?;
    let mint = async || -> TestResult<Response> {
        Ok(client.post(site.url("/v1/tokens")).bearer_auth(&session).json(&json!({})).send().await?)
    };
    assert_eq!(mint().await?.status(), StatusCode::OK);
    let before = client.get(site.url(JWKS)).send().await?;
    let made = header(before.headers(), "date").to_owned();
    let before = before.bytes().await?;

    issuer.stop()?;
    // Past the second for which a copy is new, and the second in which it serves one more round.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let during = client.get(site.url(JWKS)).send().await?;
    assert_eq!((during.status(), cache_status(&during)), (StatusCode::OK, "STALE"));
    assert_eq!(header(during.headers(), "date"), made, "from which its age is known");
    assert_eq!(header(during.headers(), "cache-control"), "public, max-age=3600");
    assert_eq!(during.bytes().await?, before);
    let refused = mint().await?;
    assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(header(refused.headers(), "retry-after"), "1");
    assert_eq!(header(refused.headers(), "content-type"), "application/problem+json");
    let problem: Value = refused.json().await?;
    assert_eq!(problem["type"], "urn:tagmint:problem:issuer-unreachable", "{problem}");
    // What was never fetched is not made up.
    let unknown = client.get(site.url(DISCOVERY)).send().await?;
    assert_eq!(unknown.status(), StatusCode::BAD_GATEWAY);

    issuer.restart()?;
    assert_eq!(mint().await?.status(), StatusCode::OK);
    let after = client.get(site.url(JWKS)).send().await?;
    assert_eq!((after.status(), cache_status(&after)), (StatusCode::OK, "EXPIRED"), "asked for anew");
    assert_eq!(after.bytes().await?, before);
    Ok(())
}

/// The site's cache keeps a copy for 1 s here (10 s as shipped), serves it for 1 s more, and for the issuer's max-age after the first second
/// while the issuer fails.
#[tokio::test]
async fn a_copy_is_kept_no_longer_than_the_issuer_says() -> TestResult {
    let nginx = Nginx::start()?;
    let client = nginx.client(SOMEBODY)?;
    let site = &nginx.prod;
    let stand_in = StandIn::start(&nginx).await?;
    let get = async |path: &str| -> TestResult<(u16, String, String)> {
        let response = client.get(site.url(path)).send().await?;
        let (status, cache) = (response.status().as_u16(), cache_status(&response).to_owned());
        Ok((status, cache, response.text().await?))
    };
    let seen = |status: u16, cache: &str, body: &str| (status, cache.to_owned(), body.to_owned());

    // Errors, and answers that do not say for how long, are not kept.
    for (status, cache_control) in [
        (500, Some("public, max-age=60")),
        (404, Some("max-age=60")),
        (200, None),
        (200, Some("no-store, max-age=60")),
        (200, Some("private, max-age=60")),
    ] {
        stand_in.answers(status, cache_control)?;
        let count = stand_in.asked().len();
        for number in [count + 1, count + 2] {
            let (seen_status, cache, body) = get(JWKS).await?;
            assert_eq!(stand_in.asked().len(), number, "{status} {cache_control:?}");
            if status == 500 {
                assert!(seen_status == 502 && body.contains("issuer-unreachable"), "{seen_status} {body}");
            } else {
                let expected = seen(status, "MISS", &format!("answer {number}"));
                assert_eq!((seen_status, cache, body), expected, "{cache_control:?}");
            }
        }
    }

    stand_in.answers(200, Some("public, max-age=4"))?;
    let count = stand_in.asked().len();
    let kept = format!("answer {}", count + 1);
    assert_eq!(get(JWKS).await?, seen(200, "MISS", &kept));
    // One copy for everybody, whatever they add to the path.
    assert_eq!(get(&format!("{JWKS}?a=1")).await?, seen(200, "HIT", &kept));
    assert_eq!(stand_in.asked().len(), count + 1);
    // Other methods and paths go past it.
    let posted = client.post(site.url(JWKS)).body("x").send().await?;
    assert_eq!(posted.text().await?, format!("answer {}", count + 2));
    for number in [count + 3, count + 4] {
        assert_eq!(get("/openapi.json").await?, seen(200, "", &format!("answer {number}")));
    }

    stand_in.answers(503, None)?;
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    assert_eq!(get(JWKS).await?, seen(200, "STALE", &kept), "the issuer fails");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (status, _, body) = get(JWKS).await?;
    assert_eq!(status, 502, "longer than 1 s and max-age: {body}");

    // A new answer shows within two seconds, though the issuer lets others keep it for a day.
    stand_in.answers(200, Some("public, max-age=86400"))?;
    let (_, _, first) = get(JWKS).await?;
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let (status, cache, second) = get(JWKS).await?;
    assert_eq!((status, cache.as_str()), (200, "EXPIRED"));
    assert_ne!(first, second);
    Ok(())
}

#[tokio::test]
async fn an_issuer_that_hangs_or_is_crowded_does_not_keep_the_keys_waiting() -> TestResult {
    let nginx = Nginx::start()?;
    let client = nginx.client(SOMEBODY)?;
    let stand_in = StandIn::start(&nginx).await?;
    stand_in.answers(200, Some("public, max-age=60"))?;
    // Many ask at once, and one request reaches the issuer.
    stand_in.takes(Duration::from_millis(300));
    let asking: Vec<_> = (0..20).map(|_| tokio::spawn(client.get(nginx.prod.url(JWKS)).send())).collect();
    for answer in asking {
        let answer = answer.await??;
        assert_eq!(answer.headers().get("x-request-id"), None, "one id is not for twenty requests");
        assert_eq!(answer.text().await?, "answer 1");
    }
    assert_eq!(stand_in.asked().len(), 1);

    // A copy that is to be renewed serves one more round: nobody waits for the issuer.
    stand_in.takes(Duration::from_secs(1));
    loop {
        let limit = Duration::from_millis(700);
        let answer = tokio::time::timeout(limit, client.get(nginx.prod.url(JWKS)).send()).await??;
        let cache = cache_status(&answer).to_owned();
        assert_eq!(answer.text().await?, "answer 1");
        if cache != "HIT" {
            assert!(["STALE", "UPDATING"].contains(&cache.as_str()), "{cache}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(stand_in.asked().len(), 2, "it was renewed behind the scenes");

    stand_in.takes(Duration::from_mins(1));
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let limit = Duration::from_secs(6);
    let answer = tokio::time::timeout(limit, client.get(nginx.prod.url(JWKS)).send()).await??;
    assert_eq!((answer.status(), cache_status(&answer)), (StatusCode::OK, "STALE"));
    assert_eq!(answer.text().await?, "answer 2");
    Ok(())
}
