//! Two organizations with the same person.

use super::{NO_USER, NOBODY, SALLY, USER_NOT_FOUND, body};
use crate::support::{Answer, TestApp, gateway_tests};

gateway_tests!(
    deleting_in_one_organization_leaves_the_other,
    what_another_organization_has_answers_like_what_is_not_there,
);

async fn deleting_in_one_organization_leaves_the_other(app: TestApp) {
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let here = app.member(&acme.organization, SALLY).await;
    let there = app.member(&globex.organization, SALLY).await;
    let user = here.user_id.to_string();
    assert_eq!(there.user_id, here.user_id);
    for (tenant, member) in [(&acme, &here), (&globex, &there)] {
        let answer = app.retrieve_json(body(&tenant.key, "user_id", &user)).await;
        assert_eq!(answer.json()["id"], member.id.to_string());
    }

    assert_eq!(
        app.delete_json(body(&acme.key, "user_id", &user)).await.status,
        200
    );
    assert_eq!(
        app.retrieve_json(body(&acme.key, "user_id", &user)).await.status,
        404
    );
    for (field, value) in [("user_id", user.as_str()), ("email", SALLY)] {
        let answer = app.retrieve_json(body(&globex.key, field, value)).await;
        assert_eq!(
            (answer.status, &answer.json()["id"]),
            (200, &there.id.to_string().into())
        );
    }
    assert_eq!(
        app.delete_json(body(&globex.key, "user_id", &user)).await.status,
        200
    );
    assert_eq!(
        app.retrieve_json(body(&globex.key, "user_id", &user))
            .await
            .status,
        404
    );
}

async fn what_another_organization_has_answers_like_what_is_not_there(app: TestApp) {
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let tom = app.member(&globex.organization, "tom@globex.example.com").await;
    let gone = app.member(&acme.organization, SALLY).await;
    let gone_id = gone.user_id.to_string();
    app.delete_json(body(&acme.key, "user_id", &gone_id)).await;

    let mut first: Option<Answer> = None;
    let mut same = |what: &str, answer: Answer| {
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (404, USER_NOT_FOUND),
            "{what}"
        );
        let first = first.get_or_insert_with(|| answer.clone());
        assert_eq!(answer.telling_headers(), first.telling_headers(), "{what}");
    };
    for user in [
        NO_USER,
        &tom.user_id.to_string(),
        &gone_id,
        &tom.id.to_string(),
        &gone.id.to_string(),
    ] {
        same(user, app.retrieve_json(body(&acme.key, "user_id", user)).await);
        same(user, app.delete_json(body(&acme.key, "user_id", user)).await);
    }
    for email in [NOBODY, "tom@globex.example.com", SALLY] {
        same(email, app.retrieve_json(body(&acme.key, "email", email)).await);
    }
    let answer = app
        .retrieve_json(body(&globex.key, "email", "tom@globex.example.com"))
        .await;
    assert_eq!(answer.status, 200);
}
