//! Who calls: the key in the metadata.

use tonic::{Status, metadata::MetadataMap};

use crate::{domain::KeyDigest, service::ServiceError};

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
