//! Kubernetes: what the claims of a service account's tokens say, and that they agree.
//!
//! Kubernetes puts everything into one claim, `kubernetes.io`, which is an attribute as it is. Derived from it are
//! - `namespace`, `service_account` and `service_account_uid`;
//! - `pod` and `pod_uid`, where the token is bound to a pod, as a projected one is;
//! - `node` and `node_uid`, since Kubernetes 1.30.
//!
//! A token is refused whose subject names another namespace or service account than `kubernetes.io`, because a rule would get another
//! answer from `sub` than from the claim beside it. So is a token without `kubernetes.io`, and one whose subject is not a service account.

use super::{Claim, Kind, OtherClaims, Scope};
use crate::trusted_issuer::{TokenAlgorithm, TokenError, claims::Reader};

/// Source: Kubernetes documentation, "Managing Service Accounts", "Bound service account tokens", and `pkg/serviceaccount` for the
/// algorithms: an API server signs with an RSA or an ECDSA key.
pub(super) const KIND: Kind = Kind {
    name: "kubernetes",
    title: "Kubernetes service accounts",
    default_issuer: None,
    issuers: &[
        "https://oidc.eks.<region>.amazonaws.com/id/<cluster id>",
        "https://container.googleapis.com/v1/projects/<project>/locations/<location>/clusters/<cluster>",
        "https://<region>.oic.prod-aks.azure.com/<tenant id>/<cluster id>/",
        "https://kubernetes.default.svc.cluster.local",
        "https://<what --service-account-issuer says>",
    ],
    algorithms: &[TokenAlgorithm::Rs256, TokenAlgorithm::Es256, TokenAlgorithm::Es384, TokenAlgorithm::Es512],
    has_nbf: true,
    audience_list: true,
    subjects: &["system:serviceaccount:<namespace>:<service account>"],
    claims: &[
        Claim::text_id(
            "service_account_uid",
            Scope::Other,
            "The service account's UID. It changes when the account is created again",
        )
        .required()
        .derived(),
        Claim::named("service_account", Scope::Repository, None, "The service account").required().derived(),
        Claim::named("namespace", Scope::Owner, None, "The namespace").required().derived(),
        Claim::named("pod", Scope::Other, Some("pod_uid"), "The pod that the token is bound to").derived(),
        Claim::text_id("pod_uid", Scope::Other, "The pod's UID").derived(),
        Claim::named("node", Scope::Other, Some("node_uid"), "The pod's node").derived(),
        Claim::text_id("node_uid", Scope::Other, "The node's UID").derived(),
        Claim::json("kubernetes.io", "All of this, as an object").required(),
    ],
    others: OtherClaims::Dropped,
    derive,
    sample: include_str!("samples/kubernetes.json"),
};

fn derive(reader: &mut Reader<'_>, subject: &str) -> Result<(), TokenError> {
    let claim = reader.required_object("kubernetes.io")?;
    let account = claim.required_object("serviceaccount")?;
    let (namespace, name) = (claim.required("namespace")?, account.required("name")?);
    let in_subject = subject.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let Some(in_subject) = in_subject else {
        return Err(TokenError::claim("sub", "is not of the form `system:serviceaccount:NAMESPACE:NAME`"));
    };
    if in_subject != (namespace, name) {
        return Err(TokenError::Contradiction { first: "sub", second: "kubernetes.io" });
    }
    reader.add("namespace", namespace);
    reader.add("service_account", name);
    reader.add("service_account_uid", account.required("uid")?);
    for (object, uid) in [("pod", "pod_uid"), ("node", "node_uid")] {
        let Some(bound) = claim.object(object)? else { continue };
        for (attribute, value) in [(object, bound.text("name")?), (uid, bound.text("uid")?)] {
            if let Some(value) = value {
                reader.add(attribute, value);
            }
        }
    }
    Ok(())
}
