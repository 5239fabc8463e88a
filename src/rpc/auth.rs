//! Who calls: what the metadata says.

use sha2::{Digest as _, Sha256};
use tonic::{Status, metadata::MetadataMap};
use tonic_types::FieldViolation;

use super::status;
use crate::{
    domain::{Actor, KeyDigest, OrganizationId},
    service::{Credential, ServiceError},
    storage::{Missing, Token},
};

/// The longest `idempotency-key`, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The digest of the key in `authorization: Bearer ...` (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
///
/// # Errors
///
/// UNAUTHENTICATED: there is none. Whether the key is good is for the service to say.
pub(super) fn key(metadata: &MetadataMap) -> Result<KeyDigest, Status> {
    metadata
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| KeyDigest::of(key.trim_start()))
        .ok_or_else(|| ServiceError::InvalidApiKey.into())
}

/// The key, and the organization in `x-organization-id` if there is one.
///
/// # Errors
///
/// UNAUTHENTICATED: no key. `NOT_FOUND`: the organization is no UUID, so there is none.
pub(super) fn credential(metadata: &MetadataMap) -> Result<Credential, Status> {
    let key = key(metadata)?;
    let organization = metadata.get("x-organization-id").map(|value| {
        let id = value
            .to_str()
            .ok()
            .and_then(|text| text.parse::<OrganizationId>().ok());
        id.ok_or_else(|| Status::from(ServiceError::NotFound(Missing::Organization)))
    });
    Ok(Credential {
        key,
        organization: organization.transpose()?,
    })
}

/// What tells a repetition of this request, if the caller has sent an `idempotency-key`. `method` and the encoded
/// `request` are what a repetition must have in common.
///
/// # Errors
///
/// `INVALID_ARGUMENT`: the idempotency key is not 1 to 255 printable ASCII characters.
pub(super) fn token(
    metadata: &MetadataMap,
    actor: Actor,
    method: &str,
    request: &impl prost::Message,
) -> Result<Option<Token>, Status> {
    let (Some(value), Actor::ApiKey(api_key)) = (metadata.get("idempotency-key"), actor) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()));
    let Some(key) = key else {
        let violation = FieldViolation::new("idempotency-key", "must be 1 to 255 printable ASCII characters");
        return Err(status::invalid_argument(vec![violation]));
    };
    let digest = Sha256::new()
        .chain_update(method)
        .chain_update([0])
        .chain_update(request.encode_to_vec());
    Ok(Some(Token {
        api_key,
        key: key.to_owned(),
        request: digest.finalize().into(),
    }))
}

/// The answer that a repeated request got the first time.
///
/// # Errors
///
/// INTERNAL: it is not readable.
pub(super) fn repeated<T: prost::Message + Default>(answer: &[u8]) -> Result<T, Status> {
    T::decode(answer).map_err(|error| ServiceError::Internal(Box::new(error)).into())
}
