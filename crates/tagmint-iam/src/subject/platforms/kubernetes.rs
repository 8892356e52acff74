//! Kubernetes service accounts: EKS, GKE, AKS and self-managed clusters. Source: Kubernetes' "Managing service accounts".

use super::{git_ref, project};
use crate::subject::{Chars, Edit, Form, Platform, Words, always_possible};

pub(super) static KUBERNETES: Platform = Platform {
    name: "Kubernetes",
    issuers: &[
        "oidc.eks.*.amazonaws.com*/id/*",
        "oidc-eks.*.api.aws/id/*",
        "container.googleapis.com/v1/projects/*",
        "*.oic.prod-aks.azure.com/*",
        "kubernetes.default.svc*",
    ],
    // The issuer is one cluster's.
    shared: &[],
    by_subject: true,
    forms: &[Form {
        name: "the subject of a service account",
        default: true,
        start: &["system:serviceaccount:<namespace>:<service_account>"],
        then: &[],
        how: "",
    }],
    fields: &[project("namespace", Chars::Label), git_ref("service_account", Chars::Label)],
    claims: &[],
    projects: &[],
    refs: &[],
    words: Words { project: "service account", refs: "service account of the namespace", name_ref: "service account" },
    impossible: always_possible,
    synonyms: &[
        ("serviceaccounts", "serviceaccount"),
        ("service_account", "serviceaccount"),
        ("service-account", "serviceaccount"),
        ("serviceAccount", "serviceaccount"),
        ("sa", "serviceaccount"),
    ],
    edits,
};

fn edits(value: &str, _: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for separator in ['/', '.', '@'] {
        if let Some(at) = value.rfind(separator) {
            let text = format!("{}:{}", &value[..at], &value[at + 1..]);
            edits.push(Edit::new(text, "a `:` stands between namespace and service account"));
        }
    }
    edits
}
