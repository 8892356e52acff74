use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    Policy::parse(text).unwrap_err().to_string()
}

fn with(statement: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:*"}},{statement}]}}"#)
}

#[test]
fn the_whole_grammar_is_read() {
    let policy = Policy::parse(
        r#"{"Version":"2012-10-17","Id":"x","Statement":[
            {"Sid":"a","Effect":"Allow","Principal":{"AWS":["*","123456789012"],"Federated":"f","Service":"s","CanonicalUser":["c"]},
             "Action":"s3:GetObject","Resource":["arn:aws:s3:::b/${aws:PrincipalTag/k}/*"],
             "Condition":{"ForAllValues:StringEqualsIfExists":{"k":[1,true,"x"]},"Null":{"n":"true"}}},
            {"Effect":"Deny","NotPrincipal":"*","NotAction":["s3:*"],"NotResource":"*"}]}"#,
    )
    .unwrap();
    assert_eq!((policy.version, policy.id.as_deref(), policy.statements.len()), (Version::V2012, Some("x"), 2));
    let [first, second] = &policy.statements[..] else { panic!("two statements") };
    assert_eq!((first.sid.as_deref(), first.effect, first.conditions.len()), (Some("a"), Effect::Allow, 2));
    let values: Vec<&str> = first.conditions[0].values.iter().map(Template::source).collect();
    assert_eq!(values, ["1", "true", "x"]);
    assert!(second.principal.as_ref().unwrap().negated && second.action.negated);
    assert_eq!(second.principal.as_ref().unwrap().principals, Principals::Everyone);
}

#[test]
fn a_single_statement_and_no_version() {
    let policy = Policy::parse(r#"{"Statement":{"Effect":"Deny","Action":"*"}}"#).unwrap();
    assert_eq!((policy.version, policy.statements[0].effect), (Version::V2008, Effect::Deny));
}

#[test]
fn errors_name_the_place() {
    let cases = [
        ("{", "$: not acceptable JSON"),
        ("[]", "$: must be an object"),
        (r#"{"Statement":[]}"#, "$.Statement: must not be empty"),
        (r#"{"Version":"2012-10-17"}"#, "$: `Statement` is missing"),
        (r#"{"Version":"2013-01-01","Statement":{}}"#, "$.Version: `2013-01-01` is not allowed"),
        (r#"{"Statement":{"Effect":"Allow","Action":"*"},"statement":1}"#, "$.statement: unknown member"),
        (r#"{"Statement":{"Effect":"Allow","Effect":"Deny","Action":"*"}}"#, "stands twice"),
        (&with(r#"{"Effect":"allow","Action":"*"}"#), "$.Statement[1].Effect: `allow` is not allowed"),
        (&with(r#"{"Action":"*"}"#), "$.Statement[1]: `Effect` is missing"),
        (&with(r#"{"Effect":"Allow"}"#), "$.Statement[1]: `Action` is missing"),
        (&with(r#"{"Effect":"Allow","Action":[]}"#), "$.Statement[1].Action: must not be empty"),
        (&with(r#"{"Effect":"Allow","Action":"get"}"#), "$.Statement[1].Action: `get` is not allowed"),
        (&with(r#"{"Effect":"Allow","Action":["a:b",1]}"#), "$.Statement[1].Action[1]: must be a string"),
        (&with(r#"{"Effect":"Allow","Action":"*","NotAction":"*"}"#), "has both `Action` and `NotAction`"),
        (&with(r#"{"Effect":"Allow","Action":"*","Principal":"me"}"#), "$.Statement[1].Principal: `me`"),
        (&with(r#"{"Effect":"Allow","Action":"*","Principal":{"Aws":"*"}}"#), "$.Statement[1].Principal.Aws: unknown"),
        (
            &with(r#"{"Effect":"Allow","Action":"*","Condition":{"StringEqual":{"k":"v"}}}"#),
            "$.Statement[1].Condition.StringEqual: unknown member",
        ),
        (
            &with(r#"{"Effect":"Allow","Action":"*","Condition":{"StringEquals":{"a:b":[{}]}}}"#),
            r#"$.Statement[1].Condition.StringEquals["a:b"][0]: must be a string, a number"#,
        ),
        (
            r#"{"Statement":[{"Sid":"x","Effect":"Allow","Action":"*"},{"Sid":"x","Effect":"Allow","Action":"*"}]}"#,
            "$.Statement: the statement id `x` is used twice",
        ),
    ];
    for (text, expected) in cases {
        let error = error(text);
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn the_place_decides_what_a_statement_holds() {
    let cases = [
        (Kind::Trust, r#""Principal":"*""#, None),
        (Kind::Trust, r#""Principal":"*","Resource":"*""#, Some("`Resource` is not allowed")),
        (Kind::Trust, r#""Resource":"*""#, Some("`Principal` is missing")),
        (Kind::Identity, r#""Resource":"*""#, None),
        (Kind::Identity, r#""NotPrincipal":"*","Resource":"*""#, Some("`NotPrincipal` is not allowed")),
        (Kind::Identity, r#""Sid":"x""#, Some("`Resource` is missing")),
        (Kind::Identity, r#""Resource":"arn:aws:sqs""#, None),
        (Kind::Session, r#""Resource":["*","arn:aws:s3:::b/*"]"#, None),
        (
            Kind::Session,
            r#""Resource":["*","arn:aws:sqs:*"]"#,
            Some("$.Statement[0].Resource: `arn:aws:sqs:*` has fewer"),
        ),
        (Kind::Session, r#""NotResource":"arn:aws:sqs""#, Some("$.Statement[0].NotResource: `arn:aws:sqs` has fewer")),
        (Kind::Session, r#""Principal":"*","Resource":"*""#, Some("`Principal` is not allowed")),
        (Kind::Session, r#""Sid":"x""#, Some("`Resource` is missing")),
        (Kind::Resource, r#""Principal":"*","NotResource":"*""#, None),
        (Kind::Resource, r#""Principal":"*""#, Some("`Resource` is missing")),
    ];
    for (kind, members, expected) in cases {
        let text = format!(r#"{{"Statement":{{"Effect":"Allow","Action":"*",{members}}}}}"#);
        let error = Policy::parse_as(kind, &text).err().map(|error| error.to_string());
        match (error, expected) {
            (None, None) => {}
            (Some(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
            (error, expected) => panic!("{kind:?} {members}: {error:?}, expected {expected:?}"),
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let names = "Version|Id|Statement|Sid|Effect|Principal|NotPrincipal|Action|Resource|Condition|AWS|Bool|Null|k";
    let texts = "\\*|Allow|Deny|2012-10-17|2008-10-17|sts:\\*|x|\\$\\{k\\}";
    let leaf = prop_oneof![
        texts.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(names, inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn no_json_panics(value in json()) {
        if let Err(error) = Policy::parse(&value.to_string()) {
            prop_assert!(error.path.starts_with('$'));
        }
    }
}
