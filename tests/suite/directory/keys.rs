//! Keys and time: what a repetition is answered when its key has expired, and when a successor expires. The clock is the
//! test's.

use prost_types::Timestamp;
use tonic::{Code, Request, service::Routes};
use userbridge::{
    domain::{Idempotency, IdempotencyKey, OrganizationId, Presented, Scope, TeamName},
    rpc::Services,
    service::{Admin, Credential, Directory, Write},
};

use super::{
    assert_status, faults,
    maintenance::{World, passes},
    once,
};
use crate::support::{
    first,
    proto::admin_v1::{
        ApiKey, CreateApiKeyRequest, ListApiKeysRequest, RotateApiKeyRequest,
        api_key_service_client::ApiKeyServiceClient,
    },
    with_key,
};

const HOUR: i64 = 60 * 60 * 1000;

/// The services of a directory whose clock the test moves, and a key that manages all organizations.
struct Keys {
    world: World,
    client: ApiKeyServiceClient<Routes>,
    admin: String,
}

impl Keys {
    async fn new() -> Self {
        let world = World::new().await;
        let services = Services::new().await;
        services.ready(world.directory.clone()).await;
        let scopes = [Scope::Admin].into_iter().collect();
        let admin = world
            .directory
            .create_api_key(Admin::OPERATOR, None, scopes, None, Idempotency::never());
        let admin = first(admin.await.unwrap()).secret.reveal().to_owned();
        Self {
            world,
            client: ApiKeyServiceClient::new(services.routes().unwrap()),
            admin,
        }
    }

    /// The moment so many milliseconds from now.
    fn after(&self, millis: i64) -> Timestamp {
        let millis = self.world.directory.now().as_millis() + millis;
        Timestamp {
            seconds: millis.div_euclid(1000),
            nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap(),
        }
    }

    fn create(&self, expires_at: Option<Timestamp>) -> CreateApiKeyRequest {
        CreateApiKeyRequest {
            organization_id: self.world.acme.to_string(),
            scopes: vec!["directory.read".to_owned()],
            expires_at,
        }
    }

    fn rotate(&self, key: &ApiKey) -> RotateApiKeyRequest {
        RotateApiKeyRequest {
            organization_id: self.world.acme.to_string(),
            id: key.id.clone(),
            ..RotateApiKeyRequest::default()
        }
    }

    async fn made(&mut self, expires_at: Option<Timestamp>) -> ApiKey {
        let request = with_key(self.create(expires_at), &self.admin);
        let made = self.client.create_api_key(request).await.unwrap();
        made.into_inner().api_key.unwrap()
    }

    async fn rotated(&mut self, request: RotateApiKeyRequest) -> ApiKey {
        let request = with_key(request, &self.admin);
        let rotated = self.client.rotate_api_key(request).await.unwrap();
        rotated.into_inner().api_key.unwrap()
    }

    async fn count(&mut self) -> usize {
        let request = ListApiKeysRequest {
            organization_id: self.world.acme.to_string(),
            ..ListApiKeysRequest::default()
        };
        let listed = self.client.list_api_keys(with_key(request, &self.admin)).await;
        listed.unwrap().into_inner().api_keys.len()
    }

    async fn opens(&self, secret: &str) -> bool {
        let credential = Credential {
            presented: Presented::new(secret),
            organization: None,
        };
        self.world.directory.grant_read(credential).await.is_ok()
    }
}

fn once_for<T>(message: T, keys: &Keys, token: &str) -> Request<T> {
    once(message, &keys.admin, token)
}

#[tokio::test]
async fn a_key_made_twice_gets_the_first_answer_when_it_has_expired_since() {
    let mut keys = Keys::new().await;
    let request = keys.create(Some(keys.after(HOUR)));
    let call = once_for(request.clone(), &keys, "one");
    let made = keys.client.create_api_key(call).await.unwrap().into_inner();
    for _ in 0..2 {
        let call = once_for(request.clone(), &keys, "one");
        let again = keys.client.create_api_key(call).await.unwrap().into_inner();
        assert_eq!((again.api_key, again.secret.as_str()), (made.api_key.clone(), ""));
        keys.world.clock.pass(HOUR);
    }
    // One that was never answered is late.
    for call in [
        once_for(request.clone(), &keys, "two"),
        with_key(request.clone(), &keys.admin),
    ] {
        assert_eq!(faults(keys.client.create_api_key(call).await), ["expires_at"]);
    }
    let other = keys.create(Some(keys.after(-1)));
    let call = once_for(other, &keys, "one");
    let reused = keys.client.create_api_key(call).await;
    assert_status(reused, Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    keys.world.clock.pass(24 * HOUR);
    let call = once_for(request, &keys, "one");
    assert_eq!(faults(keys.client.create_api_key(call).await), ["expires_at"]);
    assert_eq!(keys.count().await, 1);
}

#[tokio::test]
async fn a_rotation_that_is_repeated_rotates_no_second_time() {
    let mut keys = Keys::new().await;
    let old = keys.made(None).await;
    let request = RotateApiKeyRequest {
        overlap: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        expires_at: Some(keys.after(HOUR)),
        ..keys.rotate(&old)
    };
    let call = once_for(request.clone(), &keys, "one");
    let made = keys.client.rotate_api_key(call).await.unwrap().into_inner();
    assert!(keys.opens(&made.secret).await);
    // Both keys have died in between; the answer is the same.
    for _ in 0..2 {
        let call = once_for(request.clone(), &keys, "one");
        let again = keys.client.rotate_api_key(call).await.unwrap().into_inner();
        assert_eq!((again.api_key, again.secret.as_str()), (made.api_key.clone(), ""));
        keys.world.clock.pass(HOUR);
    }
    assert_eq!(keys.count().await, 2);
    let other = keys.rotate(&old);
    let call = once_for(other.clone(), &keys, "one");
    let reused = keys.client.rotate_api_key(call).await;
    assert_status(reused, Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    let call = once_for(other, &keys, "two");
    let dead = keys.client.rotate_api_key(call).await;
    assert_status(dead, Code::NotFound, "API_KEY_NOT_FOUND");
    let call = once_for(request, &keys, "");
    let bad = faults(keys.client.rotate_api_key(call).await);
    assert_eq!(bad, ["idempotency-key", "expires_at"]);
}

#[tokio::test]
async fn a_successor_expires_when_the_old_key_would_have_unless_told_otherwise() {
    let mut keys = Keys::new().await;
    let end = keys.after(5 * HOUR);
    let old = keys.made(Some(end)).await;
    keys.world.clock.pass(HOUR);
    let kept = keys.rotated(keys.rotate(&old)).await;
    assert_eq!(kept.expires_at, Some(end));
    let later = keys.after(9 * HOUR);
    let told = RotateApiKeyRequest {
        expires_at: Some(later),
        ..keys.rotate(&kept)
    };
    let told = keys.rotated(told).await;
    assert_eq!(told.expires_at, Some(later));
    let never = RotateApiKeyRequest {
        never_expires: true,
        ..keys.rotate(&told)
    };
    let never = keys.rotated(never).await;
    assert_eq!(never.expires_at, None);
    assert_eq!(keys.rotated(keys.rotate(&never)).await.expires_at, None);
}

#[tokio::test]
async fn a_rotation_says_either_when_the_successor_expires_or_that_it_never_does() {
    let mut keys = Keys::new().await;
    let old = keys.made(None).await;
    let both = RotateApiKeyRequest {
        expires_at: Some(keys.after(HOUR)),
        never_expires: true,
        ..keys.rotate(&old)
    };
    let both = keys.client.rotate_api_key(with_key(both, &keys.admin)).await;
    assert_eq!(faults(both), ["never_expires"]);
    for past in [0, -1] {
        let late = RotateApiKeyRequest {
            expires_at: Some(keys.after(past)),
            ..keys.rotate(&old)
        };
        let late = keys.client.rotate_api_key(with_key(late, &keys.admin)).await;
        assert_eq!(faults(late), ["expires_at"]);
    }
    assert_eq!(keys.count().await, 1);
}

/// Makes teams whose requests may be repeated.
async fn answered(directory: &Directory, organization: OrganizationId, count: u16) {
    let api_key = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let mut made = tokio::task::JoinSet::new();
    for index in 0..count {
        let key = format!("team-{index}");
        let once = Idempotency {
            key: Some(IdempotencyKey {
                api_key,
                key: key.clone(),
                request: [0; 32],
            }),
            encode: |_| b"made".to_vec(),
        };
        let directory = directory.clone();
        made.spawn(async move {
            let (key, name) = (key.parse().unwrap(), TeamName::new(key).unwrap());
            let grant = Write::operator(organization);
            directory.create_team(grant, key, name, once).await.unwrap();
        });
    }
    made.join_all().await;
}

#[tokio::test]
async fn kept_answers_go_after_a_day_though_nobody_calls_again() {
    let world = World::new().await;
    // More than are removed at once.
    answered(&world.directory, world.acme, 300).await;
    assert_eq!(world.directory.remove_old_responses().await.unwrap(), 0);
    world.clock.pass(24 * HOUR);
    // The maintenance of a server removes them by itself, once it has seen the clock go on.
    let none_left = async {
        passes(HOUR / 60).await;
        while world.answers().await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let maintenance = world.directory.clone().maintenance(none_left);
    // A minute of it passes at once.
    tokio::time::timeout(std::time::Duration::from_secs(90), maintenance)
        .await
        .unwrap();
}
