//! What must never be told: keys, tokens, passwords and addresses, wherever a client puts them.

use reqwest::Method;
use serde_json::json;

use super::{EMAIL, RETRIEVE, World, collector::Collector};
use crate::support::{
    proto::{
        directory_v1::{
            SetPasswordRequest, VerifyRequest, credential_service_client::CredentialServiceClient,
            verify_request,
        },
        users_v1::{RetrieveRequest, retrieve_request::By},
    },
    with_key,
};

const PASSWORD: &str = "planted.violet.otter.password";
const TOKEN: &str = "ps_plantedplantedplantedplantedplantedplantedpl";
const STRANGER: &str = "planted.stranger@elsewhere.example.com";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn no_key_token_password_or_address_is_in_a_log_a_metric_or_a_span() {
    let mut collector = Collector::start().await;
    let (world, log) = World::logging(|command| {
        command
            .args(["--otlp-endpoint", &collector.endpoint(), "--trace-ratio", "1"])
            .args(["--access-log", "with-address"])
            .env("USERBRIDGE_LOG", "trace")
    });
    let (public, directory) = (world.public_key.clone(), world.directory_key.clone());
    let secrets = [
        public.as_str(),
        directory.as_str(),
        PASSWORD,
        TOKEN,
        EMAIL,
        STRANGER,
    ];

    plant_in_heads(&world, &secrets).await;
    plant_in_bodies(&world).await;
    plant_in_messages(&world, &secrets).await;

    let metrics = world.scrape().await.0;
    let log = log.of(world);
    assert!(
        log.contains("answered") && log.contains("TRACE"),
        "the log says something"
    );
    let spans = collector.spans(|spans| spans.len() > 100).await;
    let spans = format!("{spans:?} {:?}", collector.all());
    for secret in secrets {
        // As it is, its end, and as it is written in a URL.
        let half = &secret[secret.len() / 2..];
        for text in [secret, half, &secret.replace('@', "%40")] {
            for (place, told) in [("metrics", &metrics), ("log", &log), ("spans", &spans)] {
                let at = told.find(text);
                let near = at.map(|at| &told[at.saturating_sub(300)..(at + 100).min(told.len())]);
                assert!(
                    near.is_none(),
                    "{text} in the {place}: {}",
                    near.unwrap_or_default()
                );
            }
        }
    }
}

/// In paths, queries and headers, of every dialect and of none.
async fn plant_in_heads(world: &World, secrets: &[&str]) {
    for secret in secrets.iter().copied() {
        for base in [
            "/",
            "/v3/users/",
            "/account/tenant/user/",
            "/cloud-views/",
            "/set-password/",
            "/api/external/v1/",
        ] {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
                let path = format!("{base}{secret}?api_key={secret}&email={secret}&token={secret}");
                let mut request = world
                    .request(method, &path)
                    .bearer_auth(secret)
                    .header("x-api-key", secret);
                for name in [
                    "x-tenant-id",
                    "user-agent",
                    "cookie",
                    "referer",
                    "idempotency-key",
                ] {
                    request = request.header(name, secret);
                }
                // A caller's own id is repeated; a password that is one can't be told from it.
                if secret != PASSWORD {
                    request = request.header("x-request-id", secret);
                }
                for name in [
                    "traceparent",
                    "tracestate",
                    "baggage",
                    "content-type",
                    "x-forwarded-for",
                ] {
                    request = request.header(name, format!("planted={secret}"));
                }
                request
                    .body(format!("{{\"{secret}\":\"{secret}\""))
                    .send()
                    .await
                    .unwrap();
            }
        }
    }
}

/// In bodies, good and bad.
async fn plant_in_bodies(world: &World) {
    let public = &world.public_key;
    assert_eq!(world.retrieve().send().await.unwrap().status(), 200);
    for body in [
        json!({ "api_key": public, "email": STRANGER }),
        json!({ "api_key": TOKEN, "email": EMAIL }),
        json!({ "api_key": public, "email": EMAIL, PASSWORD: PASSWORD }),
        json!([public, EMAIL]),
    ] {
        for path in [RETRIEVE, "/api/external/v1/users/delete", "/api/external/v1/ping"] {
            let request = world.request(Method::POST, path).header("content-type", JSON);
            request.body(body.to_string()).send().await.unwrap();
        }
    }
    let form = format!("email={STRANGER}&name={PASSWORD}&role=admin&auth_method={TOKEN}&password={PASSWORD}");
    for path in ["/v3/users", "/v3/users/1"] {
        for method in [Method::POST, Method::PUT] {
            let request = world.feedier(method, path).header("content-type", FORM);
            request.body(form.clone()).send().await.unwrap();
        }
    }
    let body =
        json!({ "email": STRANGER, "name": PASSWORD, "password": PASSWORD, "role": "ADMIN" }).to_string();
    for path in [
        "/account/tenant/user".to_owned(),
        format!("/account/tenant/user/{}", world.user_id),
    ] {
        for method in [Method::POST, Method::PUT] {
            let request = world.thebridge(method, &path).header("content-type", JSON);
            request.body(body.clone()).send().await.unwrap();
        }
    }
    for path in [
        "/set-password",
        "/cloud-views/user-management-portal/users/invite",
    ] {
        let request = world.request(Method::POST, path).header("content-type", FORM);
        let form = format!("token={TOKEN}&password={PASSWORD}&email={STRANGER}");
        request.body(form).send().await.unwrap();
    }
}

/// In messages and metadata of gRPC.
async fn plant_in_messages(world: &World, secrets: &[&str]) {
    let mut users = world.users().await;
    for secret in secrets.iter().copied() {
        for key in [secret, world.public_key.as_str()] {
            for by in [By::Email(secret.to_owned()), By::UserId(secret.to_owned())] {
                let mut request = with_key(RetrieveRequest { by: Some(by) }, key);
                if secret != PASSWORD {
                    request
                        .metadata_mut()
                        .insert("x-request-id", secret.parse().unwrap());
                }
                for name in ["x-organization-id", "traceparent", "planted"] {
                    request.metadata_mut().insert(name, secret.parse().unwrap());
                }
                let _ = users.retrieve(request).await;
            }
        }
    }
    let mut credentials = CredentialServiceClient::new(world.channel().await);
    let request = SetPasswordRequest {
        password: PASSWORD.to_owned(),
    };
    credentials
        .set_password(with_key(request, TOKEN))
        .await
        .unwrap_err();
    let request = VerifyRequest {
        password: PASSWORD.to_owned(),
        source: String::new(),
        by: Some(verify_request::By::Email(EMAIL.to_owned())),
    };
    credentials
        .verify(with_key(request, &world.directory_key))
        .await
        .unwrap();
}
