//! What belongs to the one world, shown to the other, both ways: a token, a key, a session, a bearer, an ACME account, a database. Two built
//! issuers run side by side.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use reqwest::{Client, RequestBuilder, Response};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    id::SessionId,
    issued_secret::{IssuedSecret, SecretKind},
    random::SystemRandom,
    signing_key::Signer,
};
use tagmint_store::{NewSession, Store, StoreOptions};

use super::{against, part, worlds::Worlds};
use crate::process::{Running, failure, json, run, wait_for};

/// A running issuer, with what belongs to it.
pub(super) struct Side {
    world: &'static str,
    config: String,
    issuer: String,
    /// Where it listens.
    pub(super) address: String,
    session: String,
    bearer: String,
    token: String,
    process: Running,
}

/// The database of a configuration, beside the issuer that runs on it.
async fn store(config: &str) -> (tagmint::config::Config, Store) {
    let config = tagmint::config::Config::load(Path::new(config)).expect("a configuration");
    let options = StoreOptions::new(config.database.as_path().into(), config.settings.stamp.clone());
    let store = Store::open_existing(&options).await.expect("the database");
    (config, store)
}

/// A session as the backend would have opened it.
async fn session(config: &str) -> String {
    let (config, store) = store(config).await;
    let now = SystemClock.now();
    let secret = IssuedSecret::generate(SecretKind::Session, config.environment(), &SystemRandom).expect("a secret");
    let session = NewSession {
        id: SessionId::generate(now, &SystemRandom).expect("an id"),
        secret_hash: secret.hash(),
        subject: "0xa1".to_owned(),
        attributes: Map::new(),
        created_at: now,
        expires_at: now + SignedDuration::from_hours(1),
    };
    store.sessions().create(&session).await.expect("the session is stored");
    store.close().await;
    secret.expose().to_owned()
}

impl Side {
    async fn start(worlds: &Worlds, world: &'static str) -> Self {
        let config = worlds.config(world);
        let process = Running::start(["serve", "--config", &config], &worlds.folder(world));
        let mut address = String::new();
        wait_for("the address in the log", || {
            let log = process.stderr();
            let found = log.split_once("\"public\":\"").and_then(|(_, rest)| rest.split_once('"'));
            address = found.map(|(address, _)| address.to_owned()).unwrap_or_default();
            !address.is_empty()
        });
        let made =
            json(["bearer", "create", "--config", &config, "--name", "nightly", "--attribute", "introspect=true"]);
        let mut side = Self {
            world,
            issuer: process.field("issuer").to_owned(),
            session: session(&config).await,
            bearer: made["bearer"].as_str().expect("a bearer").to_owned(),
            token: String::new(),
            config,
            address,
            process,
        };
        let minted = side.mint(&side.session).await;
        assert_eq!(minted.status(), 200, "{}", side.process.stderr());
        let minted: Value = minted.json().await.expect("JSON");
        minted["token"].as_str().expect("a token").clone_into(&mut side.token);
        side
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        tagmint_server::tls::install_provider();
        let client = Client::builder().no_proxy().build().expect("a client");
        client.request(method.parse().expect("a method"), format!("http://{}{path}", self.address))
    }

    async fn mint(&self, credential: &str) -> Response {
        let request = self.request("POST", "/v1/tokens").bearer_auth(credential);
        request.json(&json!({})).send().await.expect("an answer")
    }

    /// What every route that takes a credential says to one: the statuses and the whole texts.
    async fn everywhere(&self, credential: &str) -> Vec<(&'static str, u16, String)> {
        let exchange = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("subject_token", credential),
        ];
        let requests = [
            ("tokens", self.request("POST", "/v1/tokens").bearer_auth(credential).json(&json!({}))),
            ("id-token", self.request("GET", "/v1/id-token").bearer_auth(credential)),
            ("current", self.request("GET", "/v1/sessions/current").bearer_auth(credential)),
            (
                "credentials",
                self.request("GET", "/v1/aws/credentials?role=arn:aws:iam::111122223333:role/any")
                    .bearer_auth(credential),
            ),
            ("exchange", self.request("POST", "/oauth2/token").form(&exchange)),
        ];
        let mut answers = Vec::new();
        for (route, request) in requests {
            let answer = request.send().await.expect("an answer");
            answers.push((route, answer.status().as_u16(), answer.text().await.expect("a text")));
        }
        answers
    }

    async fn is_active(&self, token: &str) -> bool {
        let request = self.request("POST", "/oauth2/introspect").bearer_auth(&self.bearer).form(&[("token", token)]);
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        answer["active"].as_bool().expect("a verdict")
    }

    /// The keys that it publishes.
    pub(super) async fn kids(&self) -> Vec<String> {
        let answer = self.request("GET", "/.well-known/jwks.json").send().await.expect("an answer");
        let set: Value = answer.json().await.expect("JSON");
        set["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
    }

    /// A token with this issuer's claims but for `issuer`, under this issuer's key, whose header names `kid`.
    async fn forge(&self, issuer: &str, kid: &str) -> String {
        let (config, store) = store(&self.config).await;
        let master_key = tagmint::compose::master_key(&config).expect("the key file");
        let own = &store.keys().list().await.expect("keys")[0].state.kid;
        let key = store.keys().load_signing_key(own, &master_key).await.expect("the private key");
        store.close().await;
        let part = |index: usize| -> Value {
            let bytes =
                BASE64_URL_SAFE_NO_PAD.decode(self.token.split('.').nth(index).expect("a part")).expect("base64url");
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let (mut header, mut claims) = (part(0), part(1));
        header["kid"] = json!(kid);
        claims["iss"] = json!(issuer);
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = key.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Both, running.
pub(super) async fn both(worlds: &Worlds) -> [Side; 2] {
    [Side::start(worlds, "prod").await, Side::start(worlds, "test").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_bearers_of_the_other_world_are_refused_on_every_route() {
    let worlds = Worlds::new();
    let [prod, test] = both(&worlds).await;
    for (own, other) in [(&prod, &test), (&test, &prod)] {
        for credential in [&own.session, &own.bearer] {
            assert_eq!(own.mint(credential).await.status(), 200, "good at home");
            for (route, status, text) in other.everywhere(credential).await {
                assert!(matches!(status, 400 | 401 | 404), "{route}: {status} {text}");
                let told = format!("belongs to the environment `{}`; this issuer is `{}`", own.world, other.world);
                // The exchange takes no credential of an issuer at all.
                assert!(route == "exchange" || text.contains(&told), "{route}: {text}");
                assert!(!text.contains(credential.as_str()));
            }
            assert!(own.is_active(credential).await && !other.is_active(credential).await);
        }
        // The refusals stand in the ledger of the one who refused.
        let refused = json(["ledger", "list", "--config", &other.config, "--outcome", "refused"]).to_string();
        assert!(refused.contains("credential_of_other_environment"), "{refused}");
        // An administrator who confuses the two hears of it.
        let revoked = run(["session", "revoke", own.session.as_str(), "--config", &other.config]);
        assert!(!revoked.status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_keys_of_the_other_world_are_worth_nothing() {
    let worlds = Worlds::new();
    let [prod, test] = both(&worlds).await;
    let (prods, tests) = (prod.kids().await, test.kids().await);
    assert!(!prods.is_empty() && !tests.is_empty());
    assert!(prods.iter().all(|kid| !tests.contains(kid)), "no shared kid: {prods:?} {tests:?}");
    for (own, other, own_kid, other_kid) in [(&prod, &test, &prods[0], &tests[0]), (&test, &prod, &tests[0], &prods[0])]
    {
        assert!(own.is_active(&own.token).await && !other.is_active(&own.token).await);
        for (route, status, text) in other.everywhere(&own.token).await {
            assert!((400..=404).contains(&status), "{route}: {status} {text}");
            assert!(!text.contains(&own.token));
        }
        let minting = other.mint(&own.token).await;
        assert_eq!(minting.status(), 401);
        let said = minting.text().await.unwrap();
        assert!(said.contains(&own.issuer), "the message names who is not trusted: {said}");
        // The key of the one under the name of the other, and under the other's kid.
        let genuine = own.forge(&own.issuer, own_kid).await;
        assert!(own.is_active(&genuine).await, "the forger works");
        for kid in [own_kid, other_kid] {
            let forged = own.forge(&other.issuer, kid).await;
            assert!(!other.is_active(&forged).await && !own.is_active(&forged).await, "{kid}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_and_the_key_file_of_the_other_world_are_refused() {
    let worlds = Worlds::new();
    let [mut prod, mut test] = both(&worlds).await;
    for side in [&mut prod, &mut test] {
        side.process.signal(Signal::TERM);
        assert_eq!(side.process.end(), Some(0));
    }
    for (own, other) in [(&prod, &test), (&test, &prod)] {
        let (folder, foreign) = (worlds.folder(own.world), worlds.folder(other.world));
        // A copy of the other's database in the place of the own one.
        let (database, kept) = (folder.join("tagmint.db"), folder.join("kept.db"));
        fs::rename(&database, &kept).unwrap();
        fs::copy(foreign.join("tagmint.db"), &database).unwrap();
        for command in ["serve", "check"] {
            let output = run([command, "--config", &own.config]);
            assert_eq!(output.status.code(), Some(3));
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let told = format!(
                "belongs to the issuer {} (environment `{}`), not to {}",
                other.issuer, other.world, own.issuer
            );
            assert!(said.contains(&told), "{command}: {said}");
        }
        let (found, code) = against(&worlds, &[]);
        let finding = part(&found, "database");
        assert_eq!((finding["verdict"].as_str(), code), (Some("shared"), Some(1)), "{found}");
        assert!(
            finding["shared"].to_string().contains(&format!("stamped {} ({})", other.issuer, other.world)),
            "{finding}"
        );
        fs::rename(&kept, &database).unwrap();
        // The own database under the other's key file.
        let (key, kept) = (folder.join("master.key"), folder.join("kept.key"));
        fs::rename(&key, &kept).unwrap();
        fs::copy(foreign.join("master.key"), &key).unwrap();
        let error = failure(["serve", "--config", &own.config], 3);
        assert!(error["message"].as_str().unwrap().contains("key file"), "{error}");
        fs::rename(&kept, &key).unwrap();
        assert_eq!(against(&worlds, &[]).1, Some(0), "as before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kid_and_an_acme_account_that_both_databases_hold_are_told() {
    let worlds = Worlds::new();
    let [prod, test] = both(&worlds).await;
    let (directory, url) = ("https://acme.example/directory", "https://acme.example/account/7");
    for side in [&prod, &test] {
        assert_eq!(against(&worlds, &[]).1, Some(0), "one of them alone has the account");
        let (config, store) = store(&side.config).await;
        let master_key = tagmint::compose::master_key(&config).unwrap();
        let acme = store.acme();
        acme.add_account(directory, b"key", SystemClock.now(), &master_key, &SystemRandom).await.unwrap();
        acme.account_registered(directory, Some(url), &[]).await.unwrap();
        store.close().await;
    }
    let (found, code) = against(&worlds, &[]);
    let account = part(&found, "ACME account");
    assert_eq!((account["verdict"].as_str(), code), (Some("shared"), Some(1)), "{found}");
    assert_eq!(account["shared"], json!([url]));
    let kids = part(&found, "signing key");
    assert_eq!(kids["verdict"], "isolated", "{kids}");
    assert_eq!((&kids["this"], &kids["other"]), (&json!(test.kids().await), &json!(prod.kids().await)));
}
