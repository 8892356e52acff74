//! One endpoint for three services: what speaks the query protocol goes to STS or IAM, everything else to S3.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt, Limited};
use s3s::service::S3Service;
use tagmint_iam::context::Context;

use crate::{
    authorize::Question,
    aws::Aws,
    iam, operations,
    query::{Params, QueryError, Service},
    s3,
    sessions::Principal,
    sigv4::{Authorization, Signed},
    sts,
    xml::Xml,
};

/// The largest form that STS and IAM take, in bytes.
const MAX_FORM: usize = 1 << 20;
/// Bodies up to this length are read before S3 decides, in bytes.
const MAX_BUFFERED: usize = 1 << 20;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// Serves the stand-in for as long as the future lives.
pub fn serve(
    listener: std::net::TcpListener,
    aws: Arc<Aws>,
) -> std::io::Result<impl Future<Output = std::io::Result<()>> + Send + 'static> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let app = router(aws).into_make_service_with_connect_info::<SocketAddr>();
    Ok(async move { axum::serve(listener, app).await })
}

#[derive(Clone)]
struct Front {
    aws: Arc<Aws>,
    s3: S3Service,
}

/// The router. It wants the peers' addresses (`into_make_service_with_connect_info::<SocketAddr>`).
pub fn router(aws: Arc<Aws>) -> Router {
    let s3 = s3::service(Arc::clone(&aws));
    Router::new().fallback(dispatch).with_state(Front { aws, s3 })
}

async fn dispatch(
    State(front): State<Front>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    if is_query(&request) {
        return query(&front.aws, peer, request).await;
    }
    request.extensions_mut().insert(s3::Peer(peer.ip()));
    let Ok(request_id) = front.aws.ids.opaque() else { return plain(500, "InternalError") };
    let checked = s3::check_signing(request.uri(), request.headers())
        .and_then(|()| Ok(s3::decide(request.method(), request.uri(), request.headers())?));
    let (mut request, buffered) = buffered(request).await;
    let answer = match checked {
        Ok(decided) => {
            request.extensions_mut().insert(decided);
            front.s3.call(request).await.map(|response| response.map(Body::new))
        }
        Err(refusal) => Ok(refusal.answer()),
    };
    match answer {
        Ok(response) => {
            let mut response = s3::told(response, &request_id).await;
            // A refusal leaves the body unread, after which the connection is of no use.
            if response.status().as_u16() >= 400 && !buffered {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
        Err(error) => {
            tracing::error!(?error, "S3 could not answer");
            plain(500, "InternalError")
        }
    }
}

/// Reads a short body at once, so that a refusal before its use doesn't cost the connection. Also returns whether the whole body was read.
async fn buffered(request: Request) -> (http::Request<s3s::Body>, bool) {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    if chunked || length.is_some_and(|length| length > MAX_BUFFERED) {
        return (request.map(s3s::Body::http_body_unsync), false);
    }
    let (mut parts, body) = request.into_parts();
    match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            if let Some(mismatch) = s3::BodyMismatch::of(&parts.headers, &body) {
                parts.extensions.insert(mismatch);
            }
            (http::Request::from_parts(parts, body.into()), true)
        }
        // A body that broke off is empty for s3s, which misses the announced length.
        Err(_) => (http::Request::from_parts(parts, s3s::Body::empty()), false),
    }
}

/// A form posted to `/`, or a query with an `Action`.
fn is_query(request: &Request) -> bool {
    let form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let action = request.uri().query().is_some_and(|query| Params::parse(query.as_bytes()).get("Action").is_some());
    request.uri().path() == "/" && ((request.method() == Method::POST && form) || action)
}

async fn query(aws: &Aws, peer: SocketAddr, request: Request) -> Response {
    let Ok(request_id) = aws.ids.opaque() else { return plain(500, "InternalFailure") };
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_FORM).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return plain(413, "RequestEntityTooLarge"),
    };
    let query = parts.uri.query().unwrap_or_default();
    let params = Params::parse(query.as_bytes()).and(Params::parse(&body));
    let service = params.get("Version").and_then(Service::of_version);
    let answer = match (service, params.get("Action")) {
        (Some(service), Some(action)) => {
            let signed =
                Signed { method: &parts.method, path: parts.uri.path(), query, headers: &parts.headers, body: &body };
            answer(aws, service, action, &params, signed, peer)
                .await
                .map(|xml| service.answer(action, xml, &request_id))
        }
        (_, None) => Err(QueryError::new(400, "MissingAction", "the request has no `Action`")),
        (None, Some(_)) => Err(QueryError::new(
            400,
            "InvalidAction",
            "the request has no `Version`, or one of a service that is not here: 2011-06-15 is STS, 2010-05-08 is IAM",
        )),
    };
    let (status, document) = match answer {
        Ok(document) => (200, document),
        Err(error) => {
            if let Some(detail) = &error.detail {
                aws.explain(|| format!("{}: {}: {detail}", error.code, error.message));
            }
            (error.status, service.unwrap_or(Service::Sts).refusal(&error, &request_id))
        }
    };
    let mut response = plain(status, document);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

async fn answer(
    aws: &Aws,
    service: Service,
    action: &str,
    params: &Params,
    signed: Signed<'_>,
    peer: SocketAddr,
) -> Result<Option<Xml>, QueryError> {
    if !operations::has_action(service.name(), action) {
        let message = format!("Could not find operation {action} for version {}", service.version());
        return Err(QueryError::new(400, "InvalidAction", message));
    }
    if service == Service::Sts && action == "AssumeRoleWithWebIdentity" {
        let context = request_context(aws, &Principal::Anonymous, signed.headers, peer);
        return sts::assume_role_with_web_identity(aws, params, &context).await.map(Some);
    }
    let principal = authenticate(aws, service, signed)?;
    let context = request_context(aws, &principal, signed.headers, peer);
    match (service, action) {
        (Service::Sts, "GetCallerIdentity") => Ok(Some(sts::caller_identity(aws, &principal))),
        (Service::Sts, "AssumeRole") => sts::assume_role(aws, &principal, params, &context).map(Some),
        (Service::Sts, _) => Err(QueryError::not_implemented(&format!("sts:{action}"))),
        (Service::Iam, _) => iam(aws, &principal, action, params, &context),
    }
}

fn iam(
    aws: &Aws,
    principal: &Principal,
    action: &str,
    params: &Params,
    context: &Context,
) -> Result<Option<Xml>, QueryError> {
    let Some(found) = iam::action(action) else {
        return Err(QueryError::not_implemented(&format!("iam:{action}")));
    };
    let name = format!("iam:{action}");
    let resource = iam::resource(&aws.account(), action, params);
    let question = Question { principal, action: &name, resource: &resource, context, resource_policy: None };
    aws.allow(question).map_err(|denied| {
        let message = format!(
            "User: {} is not authorized to perform: {name} on resource: {resource} {}",
            principal.arn(),
            denied.because()
        );
        QueryError::new(403, "AccessDenied", message)
    })?;
    let (now, ids) = (aws.clock.now(), &aws.ids);
    if found.changes {
        return aws.change(|account| (found.handler)(&mut iam::Call { account, params, now, ids }));
    }
    let mut account = aws.account().clone();
    (found.handler)(&mut iam::Call { account: &mut account, params, now, ids })
}

/// Who signed the request.
fn authenticate(aws: &Aws, service: Service, signed: Signed<'_>) -> Result<Principal, QueryError> {
    let authorization = Authorization::of(signed.headers)?;
    let now = aws.clock.now();
    let invalid =
        || QueryError::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    let token = signed.headers.get(SECURITY_TOKEN).and_then(|value| value.to_str().ok());
    let administrator = aws.account().administrator.clone();
    if authorization.access_key == administrator.id {
        authorization.verify(signed, service, &administrator.secret, now)?;
        return if token.is_none() { Ok(Principal::Administrator(Arc::clone(&aws.scope))) } else { Err(invalid()) };
    }
    let session = aws.sessions.get(authorization.access_key).ok_or_else(invalid)?;
    authorization.verify(signed, service, &session.secret, now)?;
    if token != Some(session.token.as_str()) {
        return Err(invalid());
    }
    if session.expires_at <= now {
        return Err(QueryError::new(403, "ExpiredToken", "The security token included in the request is expired"));
    }
    Ok(Principal::Session(Box::new(session)))
}

/// The caller's keys and those that every request has.
pub(crate) fn request_context(aws: &Aws, principal: &Principal, headers: &HeaderMap, peer: SocketAddr) -> Context {
    let now = aws.clock.now();
    let mut context = principal
        .context()
        .with("aws:SourceIp", peer.ip().to_canonical().to_string())
        .with("aws:SecureTransport", aws.secure_transport.to_string())
        .with("aws:CurrentTime", now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .with("aws:EpochTime", now.as_second().to_string())
        .with("aws:RequestedRegion", &aws.scope.region)
        .with("aws:ViaAWSService", "false")
        .with("aws:PrincipalIsAWSService", "false");
    for (key, name) in [("aws:UserAgent", header::USER_AGENT), ("aws:Referer", header::REFERER)] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            context = context.with(key, value);
        }
    }
    context
}

fn plain(status: u16, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
}
