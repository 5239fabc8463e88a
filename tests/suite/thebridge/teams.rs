//! Teams of a user, by their keys.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use userbridge::{
    domain::{Idempotency, TeamName, TeamSlug},
    service::Write,
};

use super::{Acme, JSON, user};
use crate::support::{Answer, TestApp, first, gateway_tests};

gateway_tests!(
    teams_are_replaced_and_made_where_they_are_missing,
    many_who_name_one_new_team_share_it,
    teams_beyond_the_first_page_are_found,
);

async fn teams(acme: &Acme, id: &str, body: Value) -> Value {
    let answer = acme.update(id, json!({ "teams": body })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["teams"].clone()
}

async fn teams_are_replaced_and_made_where_they_are_missing(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    let other = acme.user("other@acme.example.com", "VIEWER").await;
    assert_eq!(
        teams(&acme, &id, json!(["engineering"])).await,
        json!(["engineering"])
    );
    assert_eq!(
        teams(&acme, &other, json!(["engineering"])).await,
        json!(["engineering"])
    );
    assert_eq!(
        teams(&acme, &id, json!(["design", "design"])).await,
        json!(["design"])
    );
    assert_eq!(
        teams(&acme, &id, json!(["design", "engineering"])).await,
        json!(["engineering", "design"]),
        "in the order in which they were made"
    );
    assert_eq!(teams(&acme, &id, json!(["root"])).await, json!(["root"]));
    assert_eq!(
        teams(&acme, &id, json!(["Ärger & <b>"])).await,
        json!(["Ärger & <b>"])
    );
    assert_eq!(teams(&acme, &id, json!([])).await, json!([]));
    assert_eq!(acme.get(&other).await.json()["teams"], json!(["engineering"]));
    let form = acme
        .request(Method::PUT, &user(&id))
        .header("content-type", super::FORM);
    let answer = Answer::of(form.body("teams[]=design&teams[]=new")).await;
    assert_eq!(answer.json()["teams"], json!(["design", "new"]));
}

async fn many_who_name_one_new_team_share_it(app: TestApp) {
    let acme = Acme::of(app).await;
    let mut ids = Vec::new();
    for index in 0..8 {
        let username = format!("user{index}@acme.example.com");
        ids.push(acme.user(&username, "VIEWER").await);
    }
    let mut changing = JoinSet::new();
    for id in &ids {
        let request = acme.request(Method::PUT, &user(id)).header("content-type", JSON);
        changing.spawn(Answer::of(request.body(r#"{"teams":["new","newer"]}"#)));
    }
    for answer in changing.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["teams"].as_array().unwrap().len(), 2);
    }
}

async fn teams_beyond_the_first_page_are_found(app: TestApp) {
    let acme = Acme::of(app).await;
    let id = acme.user("user@acme.example.com", "VIEWER").await;
    for index in 0..600 {
        let key = format!("team{index}");
        let grant = Write::operator(acme.organization.id);
        let (slug, name) = (TeamSlug::new(&key).unwrap(), TeamName::new(&key).unwrap());
        let made = acme
            .app
            .directory()
            .create_team(grant, slug, name, Idempotency::never());
        first(made.await.unwrap());
    }
    let wanted = json!(["team1", "team598", "team599"]);
    assert_eq!(teams(&acme, &id, wanted.clone()).await, wanted);
}
