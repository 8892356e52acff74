//! Amazon S3: REST requests with XML answers (Amazon S3 API reference).

use super::{Answer, Client, Request, encode, encode_pairs, xml::Element};
use crate::failure::Failure;

/// S3 as one caller's credentials see it.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    client: Client,
    /// Whether buckets are named in the path (`/BUCKET/KEY`), not in the host name.
    path_style: bool,
}

/// One operation on a bucket or an object in it.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    method: &'static str,
    bucket: &'a str,
    key: Option<&'a str>,
    query: Vec<(&'static str, &'a str)>,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
}

impl<'a> Call<'a> {
    /// An operation on a bucket.
    pub(crate) fn bucket(method: &'static str, bucket: &'a str) -> Self {
        Self { method, bucket, key: None, query: Vec::new(), headers: Vec::new(), body: &[] }
    }

    /// An operation on an object.
    pub(crate) fn object(method: &'static str, bucket: &'a str, key: &'a str) -> Self {
        Self { key: Some(key), ..Self::bucket(method, bucket) }
    }

    /// Adds a name without a value to the query: a subresource such as `policy`.
    pub(crate) fn subresource(self, name: &'static str) -> Self {
        self.query(name, Some(""))
    }

    /// Adds a parameter to the query, if there is a value.
    pub(crate) fn query(mut self, name: &'static str, value: Option<&'a str>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    /// Adds a header, if there is a value.
    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// Refuses the operation where another account owns the bucket.
    pub(crate) fn expected_owner(self, account: Option<&str>) -> Self {
        self.header("x-amz-expected-bucket-owner", account.map(str::to_owned))
    }

    pub(crate) fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }
}

impl S3 {
    pub(crate) fn new(client: Client, path_style: bool) -> Self {
        Self { client, path_style }
    }

    /// Sends a call and returns its answer, whose content is still to be read.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let url = self.url(call.bucket, call.key, &call.query);
        let request = Request { method: call.method, url, headers: call.headers, body: call.body };
        self.client.send(&request).await
    }

    /// Sends a call and reads its answer as XML.
    pub(crate) async fn read(&self, call: Call<'_>) -> Result<Element, Failure> {
        self.send(call).await?.xml().await
    }

    fn url(&self, bucket: &str, key: Option<&str>, query: &[(&str, &str)]) -> String {
        let endpoint = &self.client.target().endpoint;
        // A dot in a bucket's name makes a host name that no certificate of S3 covers.
        let mut url = if self.path_style || bucket.contains('.') {
            format!("{endpoint}/{}/", encode(bucket))
        } else {
            format!("{}/", endpoint.replacen("://", &format!("://{bucket}."), 1))
        };
        if let Some(key) = key {
            url.push_str(&key.split('/').map(encode).collect::<Vec<_>>().join("/"));
        }
        if !query.is_empty() {
            url.push('?');
            url.push_str(&encode_pairs(query.iter().copied()));
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use aws_credential_types::Credentials;
    use aws_smithy_http_client::Connector;

    use super::*;
    use crate::client::Target;

    fn s3(endpoint: &str, path_style: bool) -> S3 {
        let target = Target {
            signing_name: "s3",
            region: "eu-west-1".to_owned(),
            endpoint: endpoint.to_owned(),
            named: "S3".to_owned(),
        };
        let keys = Credentials::new("id", "secret", None, None, "test");
        let connector = Arc::new(Connector::builder().build_http());
        S3::new(Client::new(connector, target, keys, Duration::from_secs(1)), path_style)
    }

    #[test]
    fn buckets_are_in_the_host_name_where_certificates_cover_it() {
        let aws = s3("https://s3.eu-west-1.amazonaws.com", false);
        assert_eq!(aws.url("data", Some("a b/c"), &[]), "https://data.s3.eu-west-1.amazonaws.com/a%20b/c");
        assert_eq!(aws.url("da.ta", None, &[]), "https://s3.eu-west-1.amazonaws.com/da.ta/");
        let other = s3("http://127.0.0.1:1", true);
        assert_eq!(other.url("data", Some("../x//ü"), &[]), "http://127.0.0.1:1/data/../x//%C3%BC");
        let query = [("versions", ""), ("prefix", "a/b c")];
        assert_eq!(other.url("data", None, &query), "http://127.0.0.1:1/data/?versions&prefix=a%2Fb%20c");
    }
}
