//! A site that leads to the other world's issuer hands out nothing of it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{DISCOVERY, JWKS, SOMEBODY, TestResult, guard::Nginx, issuer::Issuer};

#[tokio::test]
async fn prods_site_that_leads_to_the_test_issuer_shows_none_of_its_keys() -> TestResult {
    let nginx = Nginx::start()?;
    let _issuer =
        Issuer::start_at(&nginx, &format!("127.0.0.1:{}", nginx.prod.issuer), r#"trusted_proxies = ["127.0.0.1"]"#)?;
    let client = nginx.client(SOMEBODY)?;
    for (path, twice) in [(DISCOVERY, true), (JWKS, true), ("/v1/tokens", false)] {
        for _ in 0..=u8::from(twice) {
            let url = nginx.prod.url(path);
            let request = if twice { client.get(url) } else { client.post(url).json(&json!({})) };
            let response = request.send().await?;
            assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
            let problem: Value = response.json().await?;
            let detail = problem["detail"].as_str().ok_or("no detail")?;
            assert!(detail.contains(nginx.prod.host) && detail.contains(nginx.test.host), "{detail}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_the_cache_asks_is_for_its_own_site_alone() -> TestResult {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let nginx = Nginx::start()?;
    let _issuer = Issuer::start(&nginx)?;
    let origin = format!("http://127.0.0.1:{}{JWKS}", nginx.test.origin);
    let ask = async |host: &str| -> TestResult<StatusCode> {
        Ok(reqwest::Client::new().get(&origin).header("host", host).send().await?.status())
    };
    assert_eq!(ask(nginx.test.host).await?, StatusCode::OK);
    assert_eq!(ask(nginx.prod.host).await?, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(ask("127.0.0.1").await?, StatusCode::MISDIRECTED_REQUEST);
    Ok(())
}
