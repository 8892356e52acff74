//! A CloudFormation template, in YAML. The account and the partition's names are the stack's own.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{
    Part, RenderedFile,
    blocks::{LifecycleKind, comments, description, head, lifecycle},
    plan::{BucketPlan, PLACEHOLDER, RolePlan, SetUp},
    policies::{GUARD_POLICY, camel},
};

pub(super) fn render(set_up: &SetUp, parts: &[Part]) -> Vec<RenderedFile> {
    let mut lines = head(set_up, "a CloudFormation template");
    lines.push("It names the roles: `aws cloudformation deploy … --capabilities CAPABILITY_NAMED_IAM`.".to_owned());
    let mut text = comments(&lines);
    text.push_str("AWSTemplateFormatVersion: \"2010-09-09\"\n");
    let about = format!("OIDC provider, roles and bucket of the {} issuer {}", set_up.environment, set_up.provider.url);
    let _ = writeln!(text, "Description: {}\n\nResources:", quoted(&about));
    let tags = json!([{"Key": "tagmint", "Value": set_up.environment.to_string()}]);
    let mut outputs = Map::new();
    let mut put = |comment: &[&str], name: &str, resource: Value| {
        for line in comment {
            let _ = writeln!(text, "  # {line}");
        }
        let _ = writeln!(text, "  {name}:");
        write(&resource, 2, &mut text);
        text.push('\n');
    };
    if parts.contains(&Part::Provider) {
        let provider = &set_up.provider;
        let comment = [
            "STS accepts tokens of this issuer for these audiences. The thumbprint is left out: AWS knows the authority.",
        ];
        let properties = json!({"Url": provider.url, "ClientIdList": provider.audiences, "Tags": tags});
        put(&comment, "Provider", json!({"Type": "AWS::IAM::OIDCProvider", "Properties": properties}));
        outputs.insert("ProviderArn".to_owned(), json!({"Value": {"Ref": "Provider"}}));
    }
    if parts.contains(&Part::Role) {
        for role in &set_up.roles {
            let name = role_name(role);
            let comment = [
                "Who gets a session: each statement is for the rules whose tokens have the same tags.",
                "The role's own policy has denials alone; what it may do says the bucket policy.",
            ];
            let mut resource = role_resource(role, &tags);
            if parts.contains(&Part::Provider) {
                resource["DependsOn"] = json!("Provider");
            }
            put(&comment, &name, resource);
            outputs.insert(format!("{name}Arn"), json!({"Value": {"Fn::GetAtt": [name, "Arn"]}}));
        }
    }
    if let Some(bucket) = set_up.bucket.as_ref().filter(|_| parts.contains(&Part::Bucket)) {
        put(
            &["Private, encrypted, without ACLs. Deleting the stack leaves it."],
            "Bucket",
            bucket_resource(bucket, &tags),
        );
        let roles: Vec<String> = set_up.roles.iter().map(role_name).collect();
        let mut resource = json!({
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": bucket.policy},
        });
        if parts.contains(&Part::Role) {
            resource["DependsOn"] = json!(roles);
        }
        put(&["Who reaches what: each session below the value of its own tag."], "BucketPolicy", resource);
        outputs.insert("BucketName".to_owned(), json!({"Value": {"Ref": "Bucket"}}));
    }
    text.push_str("Outputs:\n");
    write(&Value::Object(outputs), 1, &mut text);
    vec![RenderedFile { path: "cloudformation.yaml", text, executable: false }]
}

fn role_name(role: &RolePlan) -> String {
    format!("Role{}", camel(&role.name))
}

fn role_resource(role: &RolePlan, tags: &Value) -> Value {
    let mut properties = json!({
        "RoleName": role.name,
        "Description": description(&role.rules),
        "MaxSessionDuration": role.max_session_seconds,
        "AssumeRolePolicyDocument": role.trust_policy,
    });
    if let Some(guard) = &role.guard_policy {
        properties["Policies"] = json!([{"PolicyName": GUARD_POLICY, "PolicyDocument": guard}]);
    }
    properties["Tags"] = tags.clone();
    json!({"Type": "AWS::IAM::Role", "Properties": properties})
}

fn bucket_resource(bucket: &BucketPlan, tags: &Value) -> Value {
    let rules: Vec<Value> = lifecycle(bucket)
        .into_iter()
        .map(|rule| {
            let mut document = json!({"Id": rule.id, "Status": "Enabled"});
            if !rule.prefix.is_empty() {
                document["Prefix"] = json!(rule.prefix);
            }
            match rule.kind {
                LifecycleKind::Expire(days) => document["ExpirationInDays"] = json!(days),
                LifecycleKind::OldVersions(days) => {
                    document["ExpiredObjectDeleteMarker"] = json!(true);
                    document["NoncurrentVersionExpiration"] = json!({"NoncurrentDays": days});
                }
                LifecycleKind::AbortUploads(days) => {
                    document["AbortIncompleteMultipartUpload"] = json!({"DaysAfterInitiation": days});
                }
            }
            document
        })
        .collect();
    let encryption = json!([{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]);
    let mut resource = json!({
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "BucketName": bucket.name,
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": true,
                "BlockPublicPolicy": true,
                "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true,
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "BucketEncryption": {"ServerSideEncryptionConfiguration": encryption},
            "LifecycleConfiguration": {"Rules": rules},
            "Tags": tags,
        },
    });
    if bucket.versioning {
        resource["Properties"]["VersioningConfiguration"] = json!({"Status": "Enabled"});
    }
    resource
}

/// Writes a value as block YAML, `depth` levels in.
fn write(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let _ = write!(out, "{indent}{}:", plain_or_quoted(key));
                nested(member, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let _ = write!(out, "{indent}-");
                if let Value::Object(_) = item {
                    // The first member stands behind the dash.
                    let mut inner = String::new();
                    write(item, depth + 1, &mut inner);
                    let _ = write!(out, " {}", inner.trim_start());
                } else {
                    nested(item, depth, out);
                }
            }
        }
        scalar => {
            let _ = writeln!(out, "{indent}{}", self::scalar(scalar));
        }
    }
}

fn nested(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("Ref") => {
            let _ = writeln!(out, " !Ref {}", members["Ref"].as_str().unwrap_or_default());
        }
        Value::Object(members) if members.len() == 1 && members.contains_key("Fn::GetAtt") => {
            let names: Vec<&str> =
                members["Fn::GetAtt"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let _ = writeln!(out, " !GetAtt {}", names.join("."));
        }
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write(value, depth + 1, out);
        }
        scalar => {
            let _ = writeln!(out, " {}", self::scalar(scalar));
        }
    }
}

fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    if text.contains(PLACEHOLDER) {
        // Policy variables are not the template's.
        let text = text.replace("${", "${!").replace(PLACEHOLDER, "${AWS::AccountId}");
        return format!("!Sub {}", quoted(&text));
    }
    quoted(text)
}

fn plain_or_quoted(key: &str) -> String {
    // `Null` would be no text in YAML.
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric()) && key != "Null";
    if plain { key.to_owned() } else { quoted(key) }
}

/// JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
