//! Requests that may be repeated with an `idempotency-key`.

use http::HeaderName;
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use super::{auth, violations::Violations};
use crate::{
    domain::{Actor, IdempotencyKey, Idempotent},
    service::ServiceError,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest one, in characters.
const MAX_KEY: usize = 255;

/// What tells a repetition of this request, if the caller has sent an `idempotency-key`. The method and the encoded
/// request are what a repetition must have in common. It is a violation if the key is not 1 to 255 printable ASCII
/// characters, or if there are several.
pub(super) fn key(
    request: &Request<impl Message>,
    actor: Actor,
    method: &str,
    violations: &mut Violations,
) -> Option<IdempotencyKey> {
    let Actor::ApiKey(api_key) = actor else {
        return None;
    };
    let key = auth::only(request.metadata().as_ref(), &IDEMPOTENCY_KEY)
        .transpose()?
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()));
    let key = violations.check(
        "idempotency-key",
        key.ok_or("must be one value of 1 to 255 printable ASCII characters"),
    )?;
    let digest = Sha256::new()
        .chain_update(method)
        .chain_update([0])
        .chain_update(request.get_ref().encode_to_vec());
    Some(IdempotencyKey {
        api_key,
        key: key.to_owned(),
        request: digest.finalize().into(),
    })
}

/// The response to a request that was done now, or the one that it got the first time.
///
/// # Errors
///
/// INTERNAL: the first response is not readable.
pub(super) fn response<T, R: Message + Default>(
    outcome: Idempotent<T>,
    encode: impl FnOnce(T) -> R,
) -> Result<Response<R>, Status> {
    let message = match outcome {
        Idempotent::Fresh(value) => encode(value),
        Idempotent::Replayed(response) => {
            R::decode(&*response).map_err(|error| ServiceError::Internal(Box::new(error)))?
        }
    };
    Ok(Response::new(message))
}
