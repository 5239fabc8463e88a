//! More than may wait is refused at once. All on one thread, so that what is asked for at once is asked for before any
//! of it is answered.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;
use userbridge::{
    domain::{
        Idempotency, LinkRequest, MemberPatch, OrganizationId, Presented, Role, TokenKind, TokenSecret,
    },
    service::{Admin, Area, ServiceError, Write},
    storage::{StoreError, Transaction, Verdict, Work, sqlite::Settings},
};

use crate::{
    outages::{House, post},
    support::{
        RANDOM, first,
        proto::users_v1::{RetrieveRequest, retrieve_request::By, user_service_client::UserServiceClient},
        rules::Rules,
        with_key,
    },
};

/// So many are asked for at once.
const MANY: usize = 20;

fn narrow() -> Settings {
    Settings {
        write_queue: 2,
        lookup_queue: 2,
        ..Settings::default()
    }
}

#[tokio::test]
async fn more_look_ups_than_may_wait_are_refused_and_the_others_are_answered() {
    let house = House::new(narrow()).await;
    let sally = house.member().await;
    let found = join_all((0..MANY).map(|_| house.retrieve(&sally))).await;
    let (answered, refused): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    assert_eq!((answered.len(), refused.len()), (2, MANY - 2));
    for error in refused {
        assert!(matches!(error, Err(ServiceError::Overloaded)), "{error:?}");
    }
    assert_eq!(house.retrieve(&sally).await.unwrap(), sally.clone().into());
}

#[tokio::test]
async fn more_changes_than_may_wait_are_refused_and_the_others_are_made() {
    let house = House::new(narrow()).await;
    let mut members = Vec::new();
    for _ in 0..MANY {
        members.push(house.member().await);
    }
    let change = userbridge::domain::Change {
        actor: userbridge::domain::Actor::Operator,
        at: house.directory.now(),
        client: None,
        source: None,
    };
    let revoke = |index: usize| {
        let member: &userbridge::domain::Member = &members[index];
        house
            .storage
            .revoke_user(house.organization, member.user_id, change.clone())
    };
    let made = join_all((0..MANY).map(revoke)).await;
    for (index, made) in made.into_iter().enumerate() {
        if index < 2 {
            assert!(made.unwrap());
        } else {
            assert!(matches!(made, Err(StoreError::Overloaded)), "{made:?}");
        }
    }
    assert!(revoke(MANY - 1).await.unwrap());
}

async fn globex(house: &House) -> OrganizationId {
    let (slug, name) = ("globex".parse().unwrap(), "Globex".parse().unwrap());
    let created = house
        .directory
        .create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    first(created.await.unwrap()).id
}

#[tokio::test]
async fn more_changes_of_one_organization_than_may_wait_refuse_no_others() {
    let house = House::new(narrow()).await;
    let globex = globex(&house).await;
    let link = |organization, number: usize| {
        let link = LinkRequest {
            values: MemberPatch {
                email: Some(Some(format!("user{number}@example.com").parse().unwrap())),
                ..MemberPatch::default()
            },
            ..LinkRequest::default()
        };
        house
            .directory
            .link_member(Write::operator(organization), link, Idempotency::never())
    };
    let crowd = join_all((0..MANY).map(|number| link(house.organization, number)));
    let (crowd, other) = join(crowd, link(globex, MANY)).await;
    let refused = crowd
        .iter()
        .filter(|made| matches!(made, Err(ServiceError::Overloaded)));
    // One of the two that had been let in has made room.
    assert_eq!(refused.count(), MANY - 1);
    assert!(other.is_ok(), "{other:?}");
}

/// A change that takes its time, and notes that it was made.
struct Slow {
    organization: OrganizationId,
    made: Arc<Mutex<Vec<OrganizationId>>>,
}

#[async_trait]
impl Work for Slow {
    async fn run(&self, _: &mut dyn Transaction) -> Verdict {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.made.lock().unwrap().push(self.organization);
        Verdict::Commit
    }
}

#[tokio::test]
async fn a_change_waits_for_few_of_another_organization_however_many_those_are() {
    let house = House::new(Settings::default()).await;
    let globex = globex(&house).await;
    // It comes with the others, and while a transaction is full of them.
    for already in [0, 3] {
        let made = Arc::new(Mutex::new(Vec::new()));
        let change = |organization: OrganizationId| {
            let made = made.clone();
            let work = Slow { organization, made };
            house.storage.transact(Some(organization), Box::new(work))
        };
        let crowd = join_all((0..200).map(|_| change(house.organization)));
        let count = || made.lock().unwrap().len();
        let other = async {
            while count() < already {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let before = count();
            change(globex).await.unwrap();
            count() - before
        };
        let (crowd, meanwhile) = join(crowd, other).await;
        assert!(crowd.iter().all(Result::is_ok));
        assert_eq!(count(), 201);
        // A transaction would hold 64.
        assert!(meanwhile < 10, "{meanwhile} beside {already}");
    }
}

#[tokio::test]
async fn an_overload_is_resource_exhausted_and_says_when_to_try_again() {
    let house = House::new(narrow()).await;
    let sally = house.member().await;
    let ask = || {
        let by = By::UserId(sally.user_id.to_string());
        let request = with_key(RetrieveRequest { by: Some(by) }, &house.key);
        let mut users = UserServiceClient::new(house.services.clone());
        async move { users.retrieve(request).await }
    };
    let answers = join_all((0..MANY).map(|_| ask())).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty() && refused.len() < MANY, "{refused:?}");
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.get_details_error_info().unwrap().reason, "OVERLOADED");
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
}

#[tokio::test]
async fn an_overload_is_429_with_retry_after_in_every_dialect() {
    let house = House::new(narrow()).await;
    let sally = house.member().await;
    let body = json!({ "api_key": house.key, "user_id": sally.user_id.to_string() }).to_string();
    let productbridge = join_all((0..MANY).map(|_| {
        let path = "/api/external/v1/users/retrieve";
        post(&house.json, path, None, body.clone())
    }));
    let feedier = join_all((0..MANY).map(|index| {
        let new = json!({ "email": format!("{index}@acme.example.com"), "role": "viewer", "auth_method": "password" });
        post(&house.json, "/v3/users", Some(&house.writer), new.to_string())
    }));
    for (answers, done) in [(productbridge.await, 200), (feedier.await, 201)] {
        let refused = answers.iter().filter(|answer| answer.0 == 429);
        assert!(refused.clone().count() > 0, "{answers:?}");
        assert!(
            refused.clone().all(|answer| answer.1.as_deref() == Some("1")),
            "{answers:?}"
        );
        let others: Vec<_> = answers.iter().filter(|answer| answer.0 != 429).collect();
        assert!(
            !others.is_empty() && others.iter().all(|answer| answer.0 == done),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn a_flood_of_false_tokens_leaves_sessions_answered() {
    let house = House::new(Settings::default()).await;
    let admin = LinkRequest {
        values: MemberPatch {
            role: Some(Some(Role::Admin)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let grant = Write::operator(house.organization);
    let linked = house.directory.link_member(grant, admin, Idempotency::never());
    let admin = first(linked.await.unwrap()).member;
    let session = TokenSecret::generate(TokenKind::Session, RANDOM).unwrap();
    let token = session.stored(admin.number, house.directory.now());
    let rules = Rules(house.storage.clone());
    rules.insert_token(house.organization, token).await.unwrap();

    // More than may wait for one organization, and the session in their middle.
    let callers = (0..2001).map(|number| {
        let presented = if number == 1000 {
            Presented::new(session.reveal())
        } else {
            Presented::new(&format!("ubs_{number}"))
        };
        house.directory.caller(presented, Area::Tokens)
    });
    let answers = join_all(callers).await;
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(_) => assert_eq!(number, 1000),
            Err(error) => assert!(
                number != 1000 && matches!(error, ServiceError::InvalidToken),
                "{number}: {error:?}"
            ),
        }
    }
}
