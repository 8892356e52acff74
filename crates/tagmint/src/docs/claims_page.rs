//! `docs/reference/claims.md`, from the tables of the kinds of trusted issuers.

use tagmint_core::trusted_issuer::{
    IssuerKind,
    kind::{Claim, ClaimType, Kind, Meaning, OtherClaims, Scope},
};

use super::{NOTICE, add, cell};

/// The page.
pub(super) fn render() -> String {
    let mut page = format!(
        "{NOTICE}\n\n# Claims of trusted issuers\n\n\
         The claims that rules see of the tokens of each kind of trusted issuer. How a job gets such a token, and what to match:\n\
         [trusted-issuers.md](../trusted-issuers.md). How rules use claims: [rules.md](../rules.md).\n\n\
         - **Type** is the type of the value in a rule. An id is a string of decimal digits; in a `match` it may be written as a number.\n\
         - **Decided by** says whose choice the value is. Match ids where there are any: another owner can get a name after a\n\
         \x20 rename, a transfer or a deletion, and contributors choose the names of branches.\n\
         - **Glob** says whether a `match` may compare a part of the value with `*`.\n\
         - Claims in **bold** are in every token of the kind. Claims marked † are derived from other claims.\n"
    );
    for kind in IssuerKind::ALL {
        section(&mut page, kind.table());
    }
    page
}

fn section(page: &mut String, kind: &Kind) {
    add(page, format_args!("\n## {}\n\n{}.\n\n", kind.name, first_upper(kind.title)));
    let default = |url: &str| if kind.default_issuer == Some(url) { " (default)" } else { "" };
    let issuers: Vec<String> = kind.issuers.iter().map(|url| format!("`{url}`{}", default(url))).collect();
    add(page, format_args!("- Issuer: {}\n", issuers.join(", ")));
    add(
        page,
        format_args!(
            "- Subject: {}\n",
            kind.subjects.iter().map(|form| format!("`{form}`")).collect::<Vec<_>>().join(", ")
        ),
    );
    let algorithms: Vec<String> = kind.algorithms.iter().map(ToString::to_string).collect();
    add(page, format_args!("- Algorithms: {}\n", algorithms.join(", ")));
    if kind.audience_list {
        page.push_str("- `aud` is a list of one string; `audience_list` is on by default\n");
    }
    match kind.others {
        OtherClaims::Dropped => page.push_str("- Other claims: only those that `claims` of the configuration lists\n"),
        OtherClaims::Prefixed(prefix) => {
            add(page, format_args!("- Other claims: those whose name begins with `{prefix}`, and those that `claims` of the configuration lists\n"));
        }
        OtherClaims::Kept => page.push_str(
            "- Other claims: all but `iss`, `aud`, `exp`, `nbf`, `iat` and `jti`; or only those that `claims` of the configuration lists\n",
        ),
    }
    page.push_str("\n| claim | type | what it holds | decided by | glob |\n|---|---|---|---|---|\n");
    for claim in kind.claims {
        let mark = if claim.derived { " †" } else { "" };
        let name =
            if claim.required { format!("**`{}`**{mark}", claim.name) } else { format!("`{}`{mark}", claim.name) };
        let glob = if claim.glob { "yes" } else { "" };
        let (kind, decided) = (type_name(claim.value), decided_by(claim));
        add(page, format_args!("| {name} | {kind} | {} | {decided} | {glob} |\n", cell(claim.about)));
    }
}

const fn type_name(value: ClaimType) -> &'static str {
    match value {
        ClaimType::String => "string",
        ClaimType::Id => "id",
        ClaimType::Integer => "integer",
        ClaimType::Boolean => "boolean",
        ClaimType::Json => "JSON",
    }
}

fn decided_by(claim: &Claim) -> String {
    let of = |scope: Scope| match scope {
        Scope::Repository => " of what runs the job",
        Scope::Owner => " of the owner",
        Scope::Other => "",
    };
    match claim.meaning {
        Meaning::Id(scope) => format!("the issuer: an id{}, never reused", of(scope)),
        Meaning::Name { scope, id: Some(id) } => format!("a name{}; the id is `{id}`", of(scope)),
        Meaning::Name { scope, id: None } => format!("a name{}, without an id", of(scope)),
        Meaning::Shapeable => "contributors, callers or strangers".to_owned(),
        Meaning::Workflow => "a reusable definition; other repositories can use it".to_owned(),
        Meaning::Issuer => "the issuer".to_owned(),
    }
}

fn first_upper(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_every_claim_is_there() {
        let page = render();
        for kind in IssuerKind::ALL {
            assert!(page.contains(&format!("\n## {kind}\n")), "{kind}");
            let section = page.split(&format!("\n## {kind}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
            for claim in kind.table().claims {
                assert!(section.contains(&format!("`{}`", claim.name)), "{kind}: {}", claim.name);
            }
            assert!(kind.table().issuers.iter().all(|url| section.contains(url)), "{kind}");
        }
        assert!(page.contains("| `ref` | string | `refs/heads/main` | contributors, callers or strangers | yes |"));
        assert!(page.contains("| **`repository_id`** | id |"));
    }
}
