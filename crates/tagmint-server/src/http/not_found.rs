//! Paths that lead nowhere, and where they were meant to lead.

use std::sync::Arc;

use axum::{extract::State, http::Uri};
use tagmint_core::issuer::IssuerUrl;

use super::{
    discovery::JWKS_PATH,
    problem::{NOT_FOUND, Problem},
};

/// An issuer's URL and the paths of its routes below it.
#[derive(Debug)]
pub struct Routes {
    /// The issuer.
    pub issuer: IssuerUrl,
    /// The paths.
    pub paths: Vec<String>,
}

/// Answers what no route takes.
pub async fn not_found(State(routes): State<Arc<Routes>>, uri: Uri) -> Problem {
    let problem = Problem::new(&NOT_FOUND);
    match hint(&routes, uri.path()) {
        Some(hint) => problem.detail(hint),
        None => problem,
    }
}

/// Where a path was meant to lead. Nothing of the path is repeated but what is a route.
fn hint(routes: &Routes, path: &str) -> Option<String> {
    let Routes { issuer, paths } = routes;
    let prefix = issuer.path();
    let tidy = tidied(path);
    let known = |path: &str| paths.iter().find(|known| *known == path);
    let at = |route: &str| format!("This issuer is {issuer}: the address is {}.", issuer.join(route));
    if let Some(route) = tidy.strip_prefix(prefix).and_then(known) {
        // With the right slashes it would have been found.
        return Some(format!("{} The path of the request has a slash too many.", at(route)));
    }
    if let Some(route) = known(&tidy) {
        return Some(format!(
            "{} The path of the request lacks `{prefix}`. A proxy that removes it before it passes the request on causes this: let it pass the path \
             unchanged (nginx: `proxy_pass` without a path).",
            at(route)
        ));
    }
    let twice = || tidy.strip_prefix(prefix)?.strip_prefix(prefix);
    if let Some(route) = Some(prefix).filter(|prefix| !prefix.is_empty()).and_then(|_| twice()).and_then(known) {
        return Some(format!("{} `{prefix}` stands twice in the path of the request: a proxy adds it.", at(route)));
    }
    // RFC 8414 §3.1 puts the issuer's path behind the well-known one; only metadata is there.
    if let Some(route) =
        Some(prefix).filter(|prefix| !prefix.is_empty()).and_then(|it| tidy.strip_suffix(it)).and_then(known)
    {
        return Some(at(route));
    }
    // The longest that fits: `/b` does not stand for `/a/b`.
    let mut fitting: Vec<&String> = paths.iter().filter(|known| tidy.ends_with(known.as_str())).collect();
    fitting.sort_by_key(|known| std::cmp::Reverse(known.len()));
    if let Some(route) = fitting.first() {
        return Some(format!(
            "{} The path of the request has something else before it: its client has another issuer URL, or a proxy changes the path.",
            at(route)
        ));
    }
    if let Some(route) = paths.iter().find(|known| tidy.to_ascii_lowercase().ends_with(known.as_str())) {
        return Some(format!("{} Paths are case-sensitive.", at(route)));
    }
    let last = tidy.rsplit('/').next().unwrap_or_default();
    if ["jwks", "jwks.json", "jwks_uri", "keys", "certs"].contains(&last) {
        return Some(format!("The key set of this issuer is {}.", issuer.join(JWKS_PATH)));
    }
    (!prefix.is_empty()).then(|| {
        format!(
            "This issuer is {issuer}: its routes stand below `{prefix}`, and {} lists them.",
            issuer.join("/openapi.json")
        )
    })
}

/// The path without empty segments.
fn tidied(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.fold(String::new(), |path, segment| path + "/" + segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(issuer: &str) -> Routes {
        let paths = ["/.well-known/openid-configuration", "/.well-known/jwks.json", "/v1/tokens", "/livez"];
        Routes { issuer: IssuerUrl::parse(issuer).unwrap(), paths: paths.map(str::to_owned).to_vec() }
    }

    #[test]
    fn a_path_issuer_says_where_its_routes_are() {
        let routes = routes("https://host.example/a/b");
        let discovery = "the address is https://host.example/a/b/.well-known/openid-configuration.";
        for (path, said) in [
            ("/.well-known/openid-configuration", "lacks `/a/b`. A proxy that removes it"),
            ("//.well-known/openid-configuration", "lacks `/a/b`"),
            ("/b/.well-known/openid-configuration", "something else before it"),
            ("/a/b/a/b/.well-known/openid-configuration", "`/a/b` stands twice"),
            ("/a/b//.well-known/openid-configuration", "a slash too many"),
            ("/a/b/.well-known/openid-configuration/", "a slash too many"),
            ("/x/.well-known/openid-configuration", "something else before it"),
            ("/a/b/.well-known/OpenID-Configuration", "case-sensitive"),
        ] {
            let hint = hint(&routes, path).unwrap();
            assert!(hint.contains(discovery) && hint.contains(said), "{path}: {hint}");
        }
        let inserted = hint(&routes, "/.well-known/jwks.json/a/b").unwrap();
        assert!(inserted.contains("the address is https://host.example/a/b/.well-known/jwks.json."), "{inserted}");
        for path in ["/", "/secret-tmb", "/a", "/a/b", "/a/b/nothing"] {
            let hint = hint(&routes, path).unwrap();
            assert_eq!(
                hint,
                "This issuer is https://host.example/a/b: its routes stand below `/a/b`, and https://host.example/a/b/openapi.json lists them."
            );
        }
    }

    #[test]
    fn an_issuer_without_a_path_says_so_where_one_stands() {
        let routes = routes("https://host.example");
        let said = hint(&routes, "/auth/.well-known/openid-configuration").unwrap();
        assert!(
            said.contains("https://host.example/.well-known/openid-configuration. The path of the request has"),
            "{said}"
        );
        assert!(hint(&routes, "/v1/tokens/").unwrap().contains("a slash too many"));
        assert!(hint(&routes, "/oauth2/jwks").unwrap().contains("https://host.example/.well-known/jwks.json"));
        for path in ["/", "/nothing", "/v1/tokens/x"] {
            assert_eq!(hint(&routes, path), None, "{path}");
        }
    }
}
