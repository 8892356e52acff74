//! A role's own policies, and the managed ones that are attached to it.

use super::{
    Answer, Call, identity_policy, name,
    roles::{role, role_mut},
};
use crate::{query::QueryError, sigv4::encode, xml::Xml};

const MAX_NAME_LEN: usize = 128;

pub fn put(call: &mut Call<'_>) -> Answer {
    let (name, document) = (name(call.params, "PolicyName", MAX_NAME_LEN)?, identity_policy(call)?);
    role_mut(call)?.inline.insert(name.to_owned(), document.to_owned());
    Ok(None)
}

pub fn get(call: &mut Call<'_>) -> Answer {
    let name = call.params.need("PolicyName")?;
    let role = role(call)?;
    let document = role.inline.get(name).ok_or_else(|| not_found(name))?;
    let xml = Xml::new().text("RoleName", &role.name).text("PolicyName", name).text("PolicyDocument", encode(document));
    Ok(Some(xml))
}

pub fn list(call: &mut Call<'_>) -> Answer {
    Ok(Some(Xml::new().texts("PolicyNames", role(call)?.inline.keys()).text("IsTruncated", "false")))
}

pub fn delete(call: &mut Call<'_>) -> Answer {
    let name = call.params.need("PolicyName")?;
    role_mut(call)?.inline.remove(name).ok_or_else(|| not_found(name))?;
    Ok(None)
}

pub fn attach(call: &mut Call<'_>) -> Answer {
    let arn = call.params.need("PolicyArn")?.to_owned();
    role(call)?;
    if call.account.managed_document(&arn).is_none() {
        return Err(QueryError::no_such_entity(format!("Policy {arn} does not exist or is not attachable.")));
    }
    role_mut(call)?.attached.insert(arn);
    Ok(None)
}

pub fn detach(call: &mut Call<'_>) -> Answer {
    let arn = call.params.need("PolicyArn")?.to_owned();
    if role_mut(call)?.attached.remove(&arn) {
        return Ok(None);
    }
    Err(QueryError::no_such_entity(format!("Policy {arn} was not found.")))
}

pub fn list_attached(call: &mut Call<'_>) -> Answer {
    let attached = role(call)?.attached.iter().map(|arn| {
        let name = arn.rsplit('/').next().unwrap_or_default();
        Xml::new().text("PolicyName", name).text("PolicyArn", arn)
    });
    Ok(Some(Xml::new().list("AttachedPolicies", attached).text("IsTruncated", "false")))
}

fn not_found(name: &str) -> QueryError {
    QueryError::no_such_entity(format!("The role policy with name {name} cannot be found."))
}
