//! A call that STS accepts, and what can be changed about it.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tagmint_iam::{
    context::Context,
    policy::Policy,
    provider::{OidcProvider, Registration},
    web_identity::{Fetched, Report, Role, Session, WebIdentityRequest, World, verdict},
};

use crate::signing::Keys;

pub const NOW: i64 = 1_800_000_000;
pub const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/probe";

static KEYS: LazyLock<Keys> = LazyLock::new(Keys::generate);

static PROVIDER: LazyLock<OidcProvider> = LazyLock::new(|| {
    let registration = Registration {
        url: "https://issuer.example.test".to_owned(),
        client_ids: vec!["client-a".to_owned(), "client-b".to_owned()],
        ..Registration::default()
    };
    OidcProvider::register("123456789012", registration).unwrap()
});

pub fn provider_arn() -> String {
    PROVIDER.arn().to_owned()
}

pub struct Case {
    alg: &'static str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw: Option<&'static str>,
    token: Option<String>,
    tampered: bool,
    jwks: Value,
    document: Option<Result<Vec<u8>, &'static str>>,
    discovery: Option<&'static str>,
    actions: Vec<String>,
    condition: Option<Value>,
    role_arn: &'static str,
    session_name: &'static str,
    duration: Option<i64>,
    policy: Option<&'static str>,
    provider_id: Option<&'static str>,
    base: Context,
}

impl Case {
    pub fn new() -> Self {
        let claims = json!({
            "iss": "https://issuer.example.test", "aud": "client-a", "sub": "subject", "iat": NOW - 5, "exp": NOW + 300,
        });
        let Value::Object(claims) = claims else { unreachable!() };
        Self {
            alg: "RS256",
            header: Map::from_iter([("typ".to_owned(), json!("JWT"))]),
            claims,
            raw: None,
            token: None,
            tampered: false,
            jwks: json!({}),
            document: None,
            discovery: None,
            actions: ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
                .map(str::to_owned)
                .to_vec(),
            condition: None,
            role_arn: ROLE_ARN,
            session_name: "probe",
            duration: None,
            policy: None,
            provider_id: None,
            base: Context::new(),
        }
    }

    pub fn alg(mut self, alg: &'static str) -> Self {
        self.alg = alg;
        self
    }

    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.insert(name.to_owned(), value);
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.header.insert(name.to_owned(), json!(null));
        self
    }

    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// A member at the end of the payload, whether or not one of its name is there.
    pub fn raw(mut self, member: &'static str) -> Self {
        self.raw = Some(member);
        self
    }

    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn tampered(mut self) -> Self {
        self.tampered = true;
        self
    }

    pub fn jwks(mut self, description: Value) -> Self {
        self.jwks = description;
        self
    }

    pub fn one_key(self) -> Self {
        self.jwks(json!({"keys": 1}))
    }

    pub fn key(mut self, name: &str, value: Value) -> Self {
        self.jwks[name] = value;
        self
    }

    pub fn without_key(self, name: &str) -> Self {
        self.key(name, json!("absent"))
    }

    pub fn document(mut self, bytes: &[u8]) -> Self {
        self.document = Some(Ok(bytes.to_vec()));
        self
    }

    pub fn unreachable(mut self, why: &'static str) -> Self {
        self.document = Some(Err(why));
        self
    }

    pub fn discovery(mut self, text: &'static str) -> Self {
        self.discovery = Some(text);
        self
    }

    pub fn trust(mut self, condition: &Value) -> Self {
        self.condition = Some(condition.clone());
        self
    }

    /// Keys of the call itself and of the role.
    pub fn base(mut self, base: Context) -> Self {
        self.base = base;
        self
    }

    pub fn actions(mut self, actions: &[&str]) -> Self {
        self.actions = actions.iter().map(|action| (*action).to_owned()).collect();
        self
    }

    pub fn role_arn(mut self, arn: &'static str) -> Self {
        self.role_arn = arn;
        self
    }

    pub fn session_name(mut self, name: &'static str) -> Self {
        self.session_name = name;
        self
    }

    pub fn duration(mut self, seconds: i64) -> Self {
        self.duration = Some(seconds);
        self
    }

    pub fn policy(mut self, text: &'static str) -> Self {
        self.policy = Some(text);
        self
    }

    pub fn provider_id(mut self, id: &'static str) -> Self {
        self.provider_id = Some(id);
        self
    }

    /// The token.
    pub fn build(&self) -> String {
        if let Some(token) = &self.token {
            return token.clone();
        }
        let mut header = json!({"alg": self.alg, "kid": self.alg});
        for (name, value) in &self.header {
            if value.is_null() {
                header.as_object_mut().unwrap().remove(name);
            } else {
                header[name] = value.clone();
            }
        }
        let mut payload = Value::Object(self.claims.clone()).to_string();
        if let Some(raw) = self.raw {
            payload = format!("{},{raw}}}", &payload[..payload.len() - 1]);
        }
        let mut token = KEYS.sign(self.alg, &header, &payload);
        if self.tampered {
            let other = KEYS.sign(self.alg, &header, &payload.replace("subject", "somebody"));
            let (signed, _) = token.rsplit_once('.').unwrap();
            let (_, signature) = other.rsplit_once('.').unwrap();
            token = format!("{signed}.{signature}");
        }
        token
    }

    pub fn report(&self) -> Report {
        let token = self.build();
        let jwks = match &self.document {
            None => {
                Ok(KEYS.jwks(self.alg, &self.jwks).map_or_else(|_| b"{}".to_vec(), |set| set.to_string().into_bytes()))
            }
            Some(document) => document.clone(),
        };
        let mut statement =
            json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER.arn()}, "Action": self.actions});
        if let Some(condition) = &self.condition {
            statement["Condition"] = condition.clone();
        }
        let trust = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let role =
            Role { arn: ROLE_ARN.to_owned(), trust_policy: Policy::parse(&trust).unwrap(), max_session_seconds: 7200 };
        let request = WebIdentityRequest {
            token: &token,
            role_arn: self.role_arn,
            role_session_name: self.session_name,
            duration_seconds: self.duration,
            policy: self.policy,
            provider_id: self.provider_id,
        };
        let world = World {
            provider: Some(&PROVIDER),
            discovery: self.discovery.map(|text| Fetched::Document(text.as_bytes())),
            jwks: match &jwks {
                Ok(bytes) => Fetched::Document(bytes),
                Err(why) => Fetched::Failed(why),
            },
            role: Some(&role),
            base: &self.base,
            now: Timestamp::from_second(NOW).unwrap(),
        };
        verdict(&request, &world)
    }

    /// The refusal as text; empty for a session.
    pub fn answer(&self) -> String {
        self.report().refusal().map(ToString::to_string).unwrap_or_default()
    }

    pub fn session(&self) -> Session {
        let report = self.report();
        report.session().unwrap_or_else(|| panic!("refused: {:?}", report.refusal())).clone()
    }
}
