//! Who calls: what the metadata says.

use http::{Extensions, HeaderMap, HeaderName, header};
use tonic::{Request, Status, metadata::MetadataMap};
use userbridge_gateway::{
    SameRequest,
    listen::{self, ClientAddr},
};

use super::DirectoryCell;
use crate::{
    domain::{ClientIdentity, KeyDigest, OrganizationId, Presented, Resource},
    service::{Access, Admin, Caller, Credential, Directory, Read, ServiceError, Shown, Write},
};

/// Names the organization of a call.
const ORGANIZATION: HeaderName = HeaderName::from_static("x-organization-id");

/// What is in `authorization: Bearer ...`: a key or a token (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
///
/// # Errors
///
/// UNAUTHENTICATED: there is none, or more than one. Whether it is good is for the service to say.
pub(super) fn presented(headers: &HeaderMap) -> Result<Presented, Status> {
    only(headers, &header::AUTHORIZATION)
        .ok()
        .flatten()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, text)| Presented::new(text.trim_start()))
        .ok_or_else(|| ServiceError::InvalidApiKey.into())
}

/// The key of a call that nobody has judged yet.
pub(super) fn unjudged<T>(request: &Request<T>) -> Result<KeyDigest, Status> {
    let key = request.extensions().get().copied();
    key.ok_or_else(|| ServiceError::InvalidApiKey.into())
}

/// Whom the certificate of the caller's connection names, if it has shown one.
pub(super) fn client(extensions: &Extensions) -> Option<ClientIdentity> {
    let identity: &listen::ClientIdentity = extensions.get()?;
    ClientIdentity::new(identity.as_str()).ok()
}

/// What limits look at. Only the gateway in this process can say that an earlier call was made for the same request.
///
/// # Errors
///
/// As [`presented`].
pub(super) fn shown(headers: &HeaderMap, extensions: &Extensions) -> Result<Shown, Status> {
    Ok(Shown {
        presented: presented(headers)?,
        from: extensions.get::<ClientAddr>().map(|client| client.host()),
        counted: extensions.get::<SameRequest>().is_some(),
    })
}

/// Who makes a call that the gate let through.
pub(super) fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let caller = request.extensions().get();
    caller.ok_or_else(|| ServiceError::InvalidApiKey.into())
}

impl DirectoryCell {
    /// The directory, and a grant to read an organization.
    pub(super) async fn read<T: Sync>(&self, request: &Request<T>) -> Result<(&Directory, Read), Status> {
        let directory = self.get()?;
        let organization = organization(request.metadata())?;
        let grant = directory.grant_read_to(caller(request)?, organization).await?;
        Ok((directory, grant))
    }

    /// The directory, and a grant to change an organization.
    pub(super) async fn write<T: Sync>(&self, request: &Request<T>) -> Result<(&Directory, Write), Status> {
        let directory = self.get()?;
        let organization = organization(request.metadata())?;
        let grant = directory.grant_write_to(caller(request)?, organization).await?;
        Ok((directory, grant))
    }

    /// The directory, and a grant to manage organizations and keys.
    pub(super) fn admin<T>(&self, request: &Request<T>) -> Result<(&Directory, Admin), Status> {
        let directory = self.get()?;
        Ok((directory, directory.grant_admin_to(caller(request)?)?))
    }

    /// What the caller may do.
    pub(super) async fn access<T: Sync>(&self, request: &Request<T>) -> Result<Access, Status> {
        let organization = organization(request.metadata())?;
        Ok(self.get()?.access_of(caller(request)?, organization).await?)
    }
}

/// What a long call shows again while it lasts.
pub(super) fn credential<T>(request: &Request<T>) -> Result<Credential, Status> {
    Ok(Credential {
        presented: caller(request)?.presented(),
        organization: organization(request.metadata())?,
    })
}

/// The organization in `x-organization-id`, if there is one.
///
/// # Errors
///
/// `NOT_FOUND`: it is no UUID, or there are several, so there is none.
fn organization(metadata: &MetadataMap) -> Result<Option<OrganizationId>, Status> {
    let missing = || Status::from(ServiceError::NotFound(Resource::Organization));
    let named = only(metadata.as_ref(), &ORGANIZATION).map_err(|NotOne| missing())?;
    named.map(|text| text.parse().map_err(|_| missing())).transpose()
}

/// A header has several values, or one that is not printable ASCII.
pub(super) struct NotOne;

/// The one value of a header, if it has any.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, NotOne> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // The header map takes tabs as well.
    let printable = |text: &&str| !text.contains('\t');
    match (value.to_str().ok().filter(printable), values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(NotOne),
    }
}

#[cfg(test)]
mod tests {
    use userbridge_wire::TOKEN_PREFIXES;

    use crate::domain::TokenKind;

    #[test]
    fn the_contract_says_how_tokens_begin() {
        let prefixes: Vec<_> = TokenKind::ALL.iter().map(|kind| kind.prefix()).collect();
        assert_eq!(prefixes, TOKEN_PREFIXES);
    }
}
