//! The few of AWS's own managed policies that are known here.

const ADMINISTRATOR: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const S3_FULL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}"#;
const S3_READ_ONLY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}"#;

/// Name and text of each.
pub const ALL: [(&str, &str); 3] =
    [("AdministratorAccess", ADMINISTRATOR), ("AmazonS3FullAccess", S3_FULL), ("AmazonS3ReadOnlyAccess", S3_READ_ONLY)];

/// The ARN of one of them in a partition.
pub fn arn(partition: &str, name: &str) -> String {
    format!("arn:{partition}:iam::aws:policy/{name}")
}

/// The text of one of them, by its ARN in a partition.
pub fn document(partition: &str, arn: &str) -> Option<&'static str> {
    let name = arn.strip_prefix(&self::arn(partition, ""))?;
    ALL.into_iter().find(|(known, _)| *known == name).map(|(_, document)| document)
}
