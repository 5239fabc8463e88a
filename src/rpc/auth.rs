//! Who calls: what the metadata says.

use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Status, metadata::MetadataMap};

use super::violations::Violations;
use crate::{
    domain::{Actor, IdempotencyKey, KeyDigest, OrganizationId, Resource},
    service::{Access, Admin, Caller, Credential, Directory, Read, ServiceError, Write},
};

/// The longest `idempotency-key`, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The digest of the key in `authorization: Bearer ...` (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
///
/// # Errors
///
/// UNAUTHENTICATED: there is none, or more than one. Whether the key is good is for the service to say.
pub(super) fn key(headers: &HeaderMap) -> Result<KeyDigest, Status> {
    only(headers, "authorization")
        .ok()
        .flatten()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| KeyDigest::of(key.trim_start()))
        .ok_or_else(|| ServiceError::InvalidApiKey.into())
}

/// The key of a call that nobody has judged yet.
pub(super) fn presented<T>(request: &Request<T>) -> Result<KeyDigest, Status> {
    let key = request.extensions().get().copied();
    key.ok_or_else(|| ServiceError::InvalidApiKey.into())
}

/// Whose key it is, of a call that the gate let through.
pub(super) fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let caller = request.extensions().get();
    caller.ok_or_else(|| ServiceError::InvalidApiKey.into())
}

/// What the key may do.
///
/// # Errors
///
/// Those of [`Directory::access_of`].
pub(super) async fn access<T: Sync>(directory: &Directory, request: &Request<T>) -> Result<Access, Status> {
    let organization = organization(request.metadata())?;
    Ok(directory.access_of(caller(request)?, organization).await?)
}

/// Leave to read.
///
/// # Errors
///
/// Those of [`Directory::grant_read_to`].
pub(super) async fn read<T: Sync>(directory: &Directory, request: &Request<T>) -> Result<Read, Status> {
    let organization = organization(request.metadata())?;
    Ok(directory.grant_read_to(caller(request)?, organization).await?)
}

/// Leave to change.
///
/// # Errors
///
/// Those of [`Directory::grant_write_to`].
pub(super) async fn write<T: Sync>(directory: &Directory, request: &Request<T>) -> Result<Write, Status> {
    let organization = organization(request.metadata())?;
    Ok(directory.grant_write_to(caller(request)?, organization).await?)
}

/// Leave to manage.
///
/// # Errors
///
/// Those of [`Directory::grant_admin_to`].
pub(super) fn admin<T>(directory: &Directory, request: &Request<T>) -> Result<Admin, Status> {
    Ok(directory.grant_admin_to(caller(request)?)?)
}

/// What a long call shows again while it lasts.
pub(super) fn credential<T>(request: &Request<T>) -> Result<Credential, Status> {
    Ok(Credential {
        key: caller(request)?.digest(),
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
    let named = only(metadata.as_ref(), "x-organization-id").map_err(|NotOne| missing())?;
    named.map(|text| text.parse().map_err(|_| missing())).transpose()
}

/// A header has several values, or one that is not printable ASCII.
struct NotOne;

/// The one value of a header, if it has any.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, NotOne> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let printable = |text: &&str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    match (value.to_str().ok().filter(printable), values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(NotOne),
    }
}

/// What tells a repetition of this request, if the caller has sent an `idempotency-key`. `method` and the encoded
/// `request` are what a repetition must have in common. A key that is not 1 to 255 printable ASCII characters is a fault,
/// and so are several.
pub(super) fn token(
    metadata: &MetadataMap,
    actor: Actor,
    method: &str,
    request: &impl prost::Message,
    violations: &mut Violations,
) -> Option<IdempotencyKey> {
    let Actor::ApiKey(api_key) = actor else {
        return None;
    };
    let key = only(metadata.as_ref(), "idempotency-key")
        .transpose()?
        .ok()
        .filter(|key| (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()));
    let key = violations.check(
        "idempotency-key",
        key.ok_or("must be one value of 1 to 255 printable ASCII characters"),
    )?;
    let digest = Sha256::new()
        .chain_update(method)
        .chain_update([0])
        .chain_update(request.encode_to_vec());
    Some(IdempotencyKey {
        api_key,
        key: key.to_owned(),
        request: digest.finalize().into(),
    })
}

/// The answer that a repeated request got the first time.
///
/// # Errors
///
/// INTERNAL: it is not readable.
pub(super) fn repeated<T: prost::Message + Default>(answer: &[u8]) -> Result<T, Status> {
    T::decode(answer).map_err(|error| ServiceError::Internal(Box::new(error)).into())
}
