//! Requests that are repeated.

use std::time::Duration;

use userbridge::{
    domain::{ApiKeyId, OrganizationId, Team, TeamKey, TeamName},
    storage::{Answer, Change, Once, Precondition, StoreError, Token},
};

use super::bench::Bench;
use crate::support::RANDOM;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn once(api_key: ApiKeyId, key: &str, request: u8) -> Once<Team> {
    Once {
        token: Some(Token {
            api_key,
            key: key.to_owned(),
            request: [request; 32],
        }),
        encode: |team| team.key.as_str().as_bytes().to_vec(),
    }
}

/// Makes a team whose key is all it has.
async fn make(
    bench: &Bench,
    organization: OrganizationId,
    key: &str,
    once: Once<Team>,
    change: Change,
) -> Result<Answer<Team>, StoreError> {
    let (key, name) = (TeamKey::new(key).unwrap(), TeamName::new(key).unwrap());
    bench.create_team(organization, key, name, once, change).await
}

fn repeats(answer: Result<Answer<Team>, StoreError>, text: &str) -> bool {
    matches!(answer, Ok(Answer::Repeated(bytes)) if bytes == text.as_bytes())
}

pub(super) async fn a_repeated_request_gets_the_first_answer_for_a_day(bench: Bench) {
    let acme = bench.organization("acme").await;
    let api_key = ApiKeyId::new(bench.tick(), RANDOM).unwrap();
    let first = bench.change();
    let made = make(&bench, acme, "a", once(api_key, "t", 1), first.clone()).await;
    assert!(matches!(made, Ok(Answer::New(_))), "{made:?}");
    let at = |after: Duration| Change {
        at: first.at.saturating_add(after),
        ..bench.change()
    };
    let events = bench.log_of(acme).await.len();
    let last = at(DAY.saturating_sub(Duration::from_millis(1)));
    // What else it asks for does not count: the digest stands for the request.
    assert!(repeats(
        make(&bench, acme, "a", once(api_key, "t", 1), bench.change()).await,
        "a"
    ));
    assert!(repeats(
        make(&bench, acme, "b", once(api_key, "t", 1), last.clone()).await,
        "a"
    ));
    let other = make(&bench, acme, "b", once(api_key, "t", 2), last).await;
    assert!(
        matches!(
            other,
            Err(StoreError::Precondition(Precondition::IdempotencyKeyReused))
        ),
        "{other:?}"
    );
    assert_eq!(bench.log_of(acme).await.len(), events);

    let made = make(&bench, acme, "b", once(api_key, "t", 2), at(DAY)).await;
    assert!(matches!(made, Ok(Answer::New(_))), "{made:?}");
    assert!(repeats(
        make(&bench, acme, "c", once(api_key, "t", 2), at(DAY)).await,
        "b"
    ));
}

pub(super) async fn old_answers_are_removed_whoever_they_were_for(bench: Bench) {
    let api_key = ApiKeyId::new(bench.tick(), RANDOM).unwrap();
    let first = bench.change();
    let at = |millis: u64| Change {
        at: first.at.saturating_add(Duration::from_millis(millis)),
        ..first.clone()
    };
    let mut organizations = Vec::new();
    for (millis, slug) in [(0, "acme"), (1, "globex"), (2, "initech"), (3, "umbrella")] {
        let organization = bench.organization(slug).await;
        let made = make(&bench, organization, "a", once(api_key, "t", 1), at(millis)).await;
        assert!(matches!(made, Ok(Answer::New(_))), "{made:?}");
        organizations.push(organization);
    }
    // Nobody of the first three calls again.
    let now = first.at.saturating_add(DAY + Duration::from_millis(2));
    assert_eq!(bench.remove_old_answers(now, 2).await.unwrap(), 2);
    assert_eq!(bench.remove_old_answers(now, 2).await.unwrap(), 1);
    assert_eq!(bench.remove_old_answers(now, 2).await.unwrap(), 0);
    let last = organizations[3];
    let again = make(
        &bench,
        last,
        "b",
        once(api_key, "t", 1),
        Change { at: now, ..first },
    )
    .await;
    assert!(repeats(again, "a"));
}

pub(super) async fn a_token_is_of_one_key_in_one_organization(bench: Bench) {
    let (acme, globex) = (
        bench.organization("acme").await,
        bench.organization("globex").await,
    );
    let api_key = ApiKeyId::new(bench.tick(), RANDOM).unwrap();
    let other = ApiKeyId::new(bench.tick(), RANDOM).unwrap();
    for (organization, api_key, key, token) in [
        (acme, api_key, "a", "t"),
        (acme, other, "b", "t"),
        (globex, api_key, "a", "t"),
        (acme, api_key, "c", "T"),
    ] {
        let made = make(&bench, organization, key, once(api_key, token, 1), bench.change()).await;
        assert!(matches!(made, Ok(Answer::New(_))), "{made:?}");
    }
}

pub(super) async fn a_request_that_failed_is_not_answered_again(bench: Bench) {
    let acme = bench.organization("acme").await;
    let api_key = ApiKeyId::new(bench.tick(), RANDOM).unwrap();
    let failed = make(&bench, acme, "root", once(api_key, "t", 1), bench.change()).await;
    assert!(failed.is_err());
    let made = make(&bench, acme, "a", once(api_key, "t", 2), bench.change()).await;
    assert!(matches!(made, Ok(Answer::New(_))), "{made:?}");
}

pub(super) async fn of_many_repetitions_at_once_one_is_new(bench: Bench) {
    let acme = bench.organization("acme").await;
    let api_key = ApiKeyId::new(bench.tick(), RANDOM).unwrap();
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let bench = bench.clone();
        racers.spawn(async move { make(&bench, acme, "a", once(api_key, "t", 1), bench.change()).await });
    }
    let answers = racers.join_all().await;
    assert!(answers.iter().all(Result::is_ok));
    let new = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Answer::New(_))));
    assert_eq!(new.count(), 1);
}
