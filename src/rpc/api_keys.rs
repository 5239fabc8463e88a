//! `userbridge.admin.v1.ApiKeyService`.

use std::{mem, time::Duration};

use prost::Message as _;
use tonic::{Request, Response};

use super::{
    DirectoryCell, Reply, idempotency,
    page::List,
    proto::userbridge::admin::v1 as pb,
    status::IN_THE_FUTURE,
    time::{moment, timestamp},
    violations::{Violations, valid},
};
use crate::{
    domain::{ApiKey, ApiKeyId, Idempotency, OrganizationId, Scope, Scopes, Timestamp},
    service::{CreatedApiKey, Expiry, MAX_OVERLAP},
};

#[tonic::async_trait]
impl pb::api_key_service_server::ApiKeyService for DirectoryCell {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Reply<pb::CreateApiKeyResponse> {
        let (directory, grant) = self.admin(&request)?;
        let mut violations = Violations::default();
        let key = idempotency::key(&request, grant.actor(), "CreateApiKey", &mut violations);
        let request = request.into_inner();
        let organization = owner(&mut violations, &request.organization_id);
        let scopes = scopes(&mut violations, &request);
        let expires_at = expiry(&mut violations, request.expires_at, directory.now());
        let request = organization.zip(expires_at);
        let (organization, expires_at) = violations.finish(request)?;
        let idempotency = Idempotency {
            key,
            encode: |key| without_secret(key).encode_to_vec(),
        };
        let outcome = directory
            .create_api_key(grant, organization, scopes, expires_at, idempotency)
            .await?;
        idempotency::response(outcome, |CreatedApiKey { key, secret }| {
            pb::CreateApiKeyResponse {
                secret: secret.reveal().to_owned(),
                ..without_secret(&key)
            }
        })
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Reply<pb::ListApiKeysResponse> {
        let (directory, grant) = self.admin(&request)?;
        let mut request = request.into_inner();
        let mut violations = Violations::default();
        let organization = owner(&mut violations, &mem::take(&mut request.organization_id));
        let list = List::of("ListApiKeys", organization.flatten(), &mut request);
        let page = list.page::<ApiKeyId>(&mut violations);
        let organization = violations.finish(organization)?;
        let keys = directory.api_keys(grant, organization, page).await?;
        Ok(Response::new(pb::ListApiKeysResponse {
            next_page_token: list.next(keys.end().map(|last| last.id.to_string())),
            api_keys: keys.items.iter().map(api_key).collect(),
        }))
    }

    async fn get_api_key(&self, request: Request<pb::GetApiKeyRequest>) -> Reply<pb::GetApiKeyResponse> {
        let (directory, grant) = self.admin(&request)?;
        let pb::GetApiKeyRequest { organization_id, id } = request.get_ref();
        let (organization, id) = valid(|violations| name(violations, organization_id, id))?;
        let key = directory.api_key(grant, organization, id).await?;
        Ok(Response::new(pb::GetApiKeyResponse {
            api_key: Some(api_key(&key)),
        }))
    }

    async fn rotate_api_key(
        &self,
        request: Request<pb::RotateApiKeyRequest>,
    ) -> Reply<pb::RotateApiKeyResponse> {
        let (directory, grant) = self.admin(&request)?;
        let mut violations = Violations::default();
        let key = idempotency::key(&request, grant.actor(), "RotateApiKey", &mut violations);
        let request = request.into_inner();
        let overlap = violations
            .check("overlap", overlap(request.overlap.as_ref()))
            .unwrap_or_default();
        let organization = owner(&mut violations, &request.organization_id);
        let id = violations.id("id", &request.id);
        if request.never_expires && request.expires_at.is_some() {
            violations.add("never_expires", "is not to be set together with expires_at");
        }
        let expires_at = expiry(&mut violations, request.expires_at, directory.now());
        let ((organization, id), expires_at) = violations.finish(organization.zip(id).zip(expires_at))?;
        let expiry = match expires_at {
            Some(end) => Expiry::At(end),
            None if request.never_expires => Expiry::Never,
            None => Expiry::Kept,
        };
        let idempotency = Idempotency {
            key,
            encode: |key| rotated_without_secret(key).encode_to_vec(),
        };
        let outcome = directory
            .rotate_api_key(grant, organization, id, overlap, expiry, idempotency)
            .await?;
        idempotency::response(outcome, |CreatedApiKey { key, secret }| {
            pb::RotateApiKeyResponse {
                secret: secret.reveal().to_owned(),
                ..rotated_without_secret(&key)
            }
        })
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Reply<pb::RevokeApiKeyResponse> {
        let (directory, grant) = self.admin(&request)?;
        let pb::RevokeApiKeyRequest { organization_id, id } = request.get_ref();
        let (organization, id) = valid(|violations| name(violations, organization_id, id))?;
        directory.revoke_api_key(grant, organization, id).await?;
        Ok(Response::new(pb::RevokeApiKeyResponse {}))
    }
}

/// Whose keys: `Some(None)` for those that are bound to no organization, None and a violation for what is no id.
#[expect(clippy::option_option, reason = "none and bad are two things")]
fn owner(violations: &mut Violations, organization: &str) -> Option<Option<OrganizationId>> {
    if organization.is_empty() {
        Some(None)
    } else {
        violations.id("organization_id", organization).map(Some)
    }
}

fn name(
    violations: &mut Violations,
    organization: &str,
    key: &str,
) -> Option<(Option<OrganizationId>, ApiKeyId)> {
    let organization = owner(violations, organization);
    organization.zip(violations.id("id", key))
}

/// Violations are noted; then the scopes are not to be used.
fn scopes(violations: &mut Violations, request: &pb::CreateApiKeyRequest) -> Scopes {
    if request.scopes.is_empty() {
        violations.add("scopes", "must be at least one");
    }
    let scopes: Scopes = request
        .scopes
        .iter()
        .enumerate()
        .filter_map(|(index, scope)| violations.check(&format!("scopes[{index}]"), scope.parse::<Scope>()))
        .collect();
    if request.organization_id.is_empty() && scopes.contains(Scope::PublicApi) {
        violations.add("scopes", "public_api takes an organization");
    }
    scopes
}

/// When a key is to expire: `Some(None)` if that is not said, None and a violation for what is no time.
///
/// A time that has passed is a violation only beside others: alone it may be that of a repetition, which is
/// for the service to tell.
#[expect(clippy::option_option, reason = "none and bad are two things")]
fn expiry(
    violations: &mut Violations,
    time: Option<prost_types::Timestamp>,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    let expires_at = violations.check_optional("expires_at", time, moment);
    if !violations.is_empty() && expires_at.flatten().is_some_and(|time| time <= now) {
        violations.add("expires_at", IN_THE_FUTURE);
    }
    expires_at
}

fn overlap(overlap: Option<&prost_types::Duration>) -> Result<Duration, &'static str> {
    let Some(overlap) = overlap else {
        return Ok(Duration::ZERO);
    };
    let seconds = u64::try_from(overlap.seconds).ok();
    let nanos = u32::try_from(overlap.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    seconds
        .zip(nanos)
        .map(|(seconds, nanos)| {
            Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
        })
        .filter(|overlap| *overlap <= MAX_OVERLAP)
        .ok_or("must be 0 to 30 days")
}

fn without_secret(key: &ApiKey) -> pb::CreateApiKeyResponse {
    pb::CreateApiKeyResponse {
        api_key: Some(api_key(key)),
        secret: String::new(),
    }
}

fn rotated_without_secret(key: &ApiKey) -> pb::RotateApiKeyResponse {
    pb::RotateApiKeyResponse {
        api_key: Some(api_key(key)),
        secret: String::new(),
    }
}

fn api_key(key: &ApiKey) -> pb::ApiKey {
    pb::ApiKey {
        id: key.id.to_string(),
        organization_id: key.organization_id.map(|id| id.to_string()).unwrap_or_default(),
        scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        hint: key.hint.clone(),
        created_at: Some(timestamp(key.created_at)),
        expires_at: key.expires_at.map(timestamp),
        revoked_at: key.revoked_at.map(timestamp),
        last_used_at: key.last_used_at.map(timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_nothing_to_thirty_days() {
        let read = |seconds, nanos| overlap(Some(&prost_types::Duration { seconds, nanos }));
        assert_eq!(overlap(None), Ok(Duration::ZERO));
        assert_eq!(read(1, 500_000_000), Ok(Duration::from_millis(1500)));
        assert_eq!(read(2_592_000, 0), Ok(MAX_OVERLAP));
        for (seconds, nanos) in [
            (2_592_000, 1),
            (-1, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, 0),
        ] {
            assert!(read(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
    }
}
