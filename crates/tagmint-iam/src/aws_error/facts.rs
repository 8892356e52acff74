//! Facts in a log other than the error: enough to write the next command.

/// The facts found in a text.
#[derive(Debug, Default)]
pub(super) struct Facts {
    role: Option<String>,
    issuer: Option<String>,
    token_file: Option<String>,
    action: Option<String>,
    resource: Option<String>,
}

/// A command to run next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// Explain the token, with the role and the provider as AWS has them.
    Token,
    /// Explain what the session may do.
    Access,
    /// Look at the issuer from outside.
    Issuer,
    /// The providers of the account.
    Providers,
    /// Any other command.
    Run(&'static str),
}

impl Facts {
    pub(super) fn of(text: &str) -> Self {
        let provider = after(text, ":oidc-provider/", is_url).map(|url| format!("https://{url}"));
        Self {
            role: role(text),
            issuer: after(text, "found in your account for ", is_url)
                .or_else(|| provider.filter(|url| url.contains('.'))),
            token_file: [
                "file://",
                "AWS_WEB_IDENTITY_TOKEN_FILE=",
                "AWS_WEB_IDENTITY_TOKEN_FILE: ",
                "web_identity_token_file = ",
            ]
            .iter()
            .find_map(|start| after(text, start, is_path))
            .filter(|file| file.contains('/')),
            action: after(text, "not authorized to perform: ", |c| c.is_ascii_alphanumeric() || c == ':')
                .filter(|action| action.contains(':')),
            resource: after(text, "on resource: ", |c| is_path(c) || matches!(c, '"' | ':' | '*'))
                .map(|resource| resource.replace('"', "").trim_end_matches('.').to_owned())
                .filter(|resource| resource.starts_with("arn:")),
        }
    }

    fn role(&self) -> &str {
        self.role.as_deref().unwrap_or("ROLE_ARN")
    }

    fn token(&self) -> &str {
        self.token_file.as_deref().unwrap_or("TOKEN_FILE")
    }
}

impl Next {
    pub(super) fn command(self, facts: &Facts) -> String {
        let explain = format!("tagmint explain --token {} --role {} --fetch", facts.token(), facts.role());
        match self {
            Self::Token => explain,
            Self::Access => {
                let action = facts.action.as_deref().unwrap_or("ACTION");
                format!(
                    "{explain} --action {action} --resource '{}'",
                    facts.resource.as_deref().unwrap_or("RESOURCE_ARN")
                )
            }
            Self::Issuer => format!("tagmint check --remote {}", facts.issuer.as_deref().unwrap_or("ISSUER_URL")),
            Self::Providers => "aws iam list-open-id-connect-providers".to_owned(),
            Self::Run(command) => command.to_owned(),
        }
    }
}

/// The word behind a known text, as the name of a claim.
pub(super) fn word_after(text: &str, at: usize) -> Option<&str> {
    let rest = text.get(at..)?.trim_start_matches([':', ' ']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.:/@+=".contains(c))).unwrap_or(rest.len());
    let word = rest[..end].trim_end_matches(['.', ':']);
    (!word.is_empty() && word.len() <= 255 && !word.starts_with("eyJ")).then_some(word)
}

fn after(text: &str, start: &str, fits: impl Fn(char) -> bool) -> Option<String> {
    let at = text.find(start)? + start.len();
    let rest = &text[at..];
    let found = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
    let found = found.trim_end_matches(['.', ':', ',']);
    (!found.is_empty() && !found.contains("eyJ")).then(|| found.to_owned())
}

fn is_url(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/%+".contains(c)
}

fn is_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._/+=@,".contains(c)
}

/// The first role's ARN. Logs of jobs mask the account; then there is none.
fn role(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find("arn:aws") {
        rest = &rest[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_+=,.@:/".contains(c))).unwrap_or(rest.len());
        let arn = rest[..end].trim_end_matches([',', '.', ':']);
        if crate::arn::RoleArn::parse(arn).is_some() {
            return Some(arn.to_owned());
        }
        // A session's ARN names its role, without the role's path.
        if let Some(named) = crate::arn::Arn::split(arn).filter(|arn| arn.service == "sts" && arn.has_account())
            && let Some(name) = named.resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next())
        {
            return Some(format!("arn:{}:iam::{}:role/{name}", named.partition, named.account));
        }
        rest = &rest["arn:aws".len()..];
    }
    None
}
