//! Tokens as people save them.

use serde_json::Value;

/// Members that hold a token: GitHub's runtime, OAuth's token endpoint, Cognito, Kubernetes' TokenRequest, this program.
const MEMBERS: [&str; 7] =
    ["value", "id_token", "IdToken", "token", "web_identity_token", "WebIdentityToken", "access_token"];

/// The token within a file's text: without quotes, line breaks, `Bearer` or the answer that it came in. Any other text stays as it is.
pub fn token(text: &str) -> String {
    let text = text.trim().trim_start_matches('\u{feff}').trim();
    if text.starts_with('{')
        && let Ok(answer) = serde_json::from_str::<Value>(text)
    {
        let within = [answer.get("status"), Some(&answer)].into_iter().flatten();
        let mut named = within.flat_map(|object| MEMBERS.iter().filter_map(|name| object.get(*name)?.as_str()));
        return named.next().map_or_else(|| text.to_owned(), token);
    }
    let unquoted = text.trim_matches(['"', '\'', '`']).trim();
    let after_scheme = match unquoted.split_once(char::is_whitespace) {
        Some((scheme, rest)) if ["bearer", "authorization:"].contains(&scheme.to_lowercase().as_str()) => {
            let rest = rest.trim();
            rest.strip_prefix("Bearer ").or_else(|| rest.strip_prefix("bearer ")).unwrap_or(rest).trim()
        }
        _ => unquoted,
    };
    // Terminals break long lines.
    let whole: String = after_scheme.split_whitespace().collect();
    let is_jwt = whole.starts_with("eyJ") && whole.matches('.').count() == 2;
    if is_jwt { whole } else { after_scheme.to_owned() }
}
