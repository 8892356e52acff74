//! OIDC providers. What can be registered, the engine says.

use tagmint_iam::provider::Registration;

use super::{Answer, Call, tag_list, time};
use crate::{account::Tags, query::QueryError, xml::Xml};

const ARN: &str = "OpenIDConnectProviderArn";

pub fn create(call: &mut Call<'_>) -> Answer {
    let registration = Registration {
        url: call.params.need("Url")?.to_owned(),
        client_ids: call.params.list("ClientIDList"),
        thumbprints: call.params.list("ThumbprintList"),
        tags: call.params.tags("Tags"),
    };
    let arn = call.account.providers.create(registration, call.now)?;
    let provider = call.account.providers.registry.get(&arn)?;
    Ok(Some(Xml::new().text(ARN, &arn).within_tags(provider.tags())))
}

pub fn get(call: &mut Call<'_>) -> Answer {
    let arn = call.params.need(ARN)?;
    let provider = call.account.providers.registry.get(arn)?;
    // IAM leaves the scheme out. Terraform takes `localhost:8443` for a URL of the scheme `localhost`, and would make the provider anew
    // with every plan; with a port, which IAM doesn't have, the URL is told whole.
    let url = if provider.url().contains(':') { provider.issuer() } else { provider.url().to_owned() };
    let created = call.account.providers.created.get(arn).copied().map(time);
    let xml = Xml::new()
        .text("Url", url)
        .texts("ClientIDList", provider.client_ids())
        .texts("ThumbprintList", provider.thumbprints())
        .maybe("CreateDate", created)
        .within_tags(provider.tags());
    Ok(Some(xml))
}

#[expect(clippy::unnecessary_wraps, reason = "all actions have one type")]
pub fn list(call: &mut Call<'_>) -> Answer {
    let members = call.account.providers.registry.iter().map(|provider| Xml::new().text("Arn", provider.arn()));
    Ok(Some(Xml::new().list("OpenIDConnectProviderList", members)))
}

pub fn delete(call: &mut Call<'_>) -> Answer {
    call.account.providers.delete(call.params.need(ARN)?)?;
    Ok(None)
}

pub fn update_thumbprint(call: &mut Call<'_>) -> Answer {
    let thumbprints = call.params.list("ThumbprintList");
    call.account.providers.registry.get_mut(call.params.need(ARN)?)?.set_thumbprints(&thumbprints)?;
    Ok(None)
}

pub fn add_client_id(call: &mut Call<'_>) -> Answer {
    let client_id = call.params.need("ClientID")?;
    call.account.providers.registry.get_mut(call.params.need(ARN)?)?.add_client_id(client_id)?;
    Ok(None)
}

pub fn remove_client_id(call: &mut Call<'_>) -> Answer {
    let client_id = call.params.need("ClientID")?;
    call.account.providers.registry.get_mut(call.params.need(ARN)?)?.remove_client_id(client_id);
    Ok(None)
}

pub fn tag(call: &mut Call<'_>) -> Answer {
    let added = call.params.tags("Tags");
    change_tags(call, |tags| tags.set(added))
}

pub fn untag(call: &mut Call<'_>) -> Answer {
    let keys = call.params.list("TagKeys");
    change_tags(call, |tags| tags.remove(&keys))
}

pub fn list_tags(call: &mut Call<'_>) -> Answer {
    let provider = call.account.providers.registry.get(call.params.need(ARN)?)?;
    Ok(Some(Xml::new().within_tags(provider.tags()).text("IsTruncated", "false")))
}

fn change_tags(call: &mut Call<'_>, change: impl FnOnce(&mut Tags)) -> Answer {
    let arn = call.params.need(ARN)?;
    let mut tags = Tags::default();
    tags.set(call.account.providers.registry.get(arn)?.tags().to_vec());
    change(&mut tags);
    let tags = tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    call.account.providers.set_tags(arn, tags).map_err(QueryError::from)?;
    Ok(None)
}

trait WithTags {
    fn within_tags(self, tags: &[(String, String)]) -> Self;
}

impl WithTags for Xml {
    fn within_tags(self, tags: &[(String, String)]) -> Self {
        self.and(tag_list(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
    }
}
