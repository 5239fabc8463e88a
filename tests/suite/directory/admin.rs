//! Organizations and keys.

use prost_types::{Duration, FieldMask, Timestamp};
use tonic::Code;
use userbridge::{
    domain::{Clock as _, PageRequest, Scope},
    service::Admin,
};

use super::{assert_status, faults, members::linked, once};
use crate::support::{
    CLOCK, Form, TestApp,
    proto::{
        admin_v1::{
            ApiKey, Branding, CreateApiKeyRequest, CreateOrganizationRequest, DeleteOrganizationRequest,
            GetApiKeyRequest, GetOrganizationRequest, ListApiKeysRequest, ListOrganizationsRequest,
            Organization, RevokeApiKeyRequest, RotateApiKeyRequest, UpdateOrganizationRequest,
            get_organization_request::By,
        },
        directory_v1::{LinkMemberRequest, Role},
    },
    with_key,
};

const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

fn create(slug: &str) -> CreateOrganizationRequest {
    CreateOrganizationRequest {
        slug: slug.to_owned(),
        name: String::new(),
    }
}

fn by_id(id: &str) -> GetOrganizationRequest {
    GetOrganizationRequest {
        by: Some(By::Id(id.to_owned())),
    }
}

fn update(id: &str, organization: Organization, paths: &[&str]) -> UpdateOrganizationRequest {
    UpdateOrganizationRequest {
        id: id.to_owned(),
        organization: Some(organization),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
    }
}

fn key_of(organization: &str, scopes: &[&str]) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        organization_id: organization.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires_at: None,
    }
}

fn named(organization: &str, id: &str) -> GetApiKeyRequest {
    GetApiKeyRequest {
        organization_id: organization.to_owned(),
        id: id.to_owned(),
    }
}

#[tokio::test]
async fn an_organization_is_made_found_changed_and_deleted() {
    let app = TestApp::start(Form::Embedded).await;
    let key = app.deployment_key(&[Scope::Admin]).await;
    let mut client = app.organizations();
    let made = client.create_organization(with_key(create("acme"), &key)).await;
    let made = made.unwrap().into_inner().organization.unwrap();
    assert_eq!(
        (made.slug.as_str(), made.name.as_str(), made.default_role()),
        ("acme", "acme", Role::Viewer)
    );
    let again = client.create_organization(with_key(create("acme"), &key)).await;
    assert_status(again, Code::AlreadyExists, "SLUG_ALREADY_EXISTS");

    let values = Organization {
        slug: "ignored".to_owned(),
        name: "Acme Inc".to_owned(),
        default_role: Role::Editor.into(),
        retention_days: Some(30),
        ..Organization::default()
    };
    let paths = ["name", "default_role", "retention_days"];
    let changed = client
        .update_organization(with_key(update(&made.id, values, &paths), &key))
        .await;
    let changed = changed.unwrap().into_inner().organization.unwrap();
    let expected = Organization {
        name: "Acme Inc".to_owned(),
        default_role: Role::Editor.into(),
        retention_days: Some(30),
        ..made.clone()
    };
    assert_eq!(changed, expected);
    let cleared = update(&made.id, Organization::default(), &["retention_days"]);
    let cleared = client.update_organization(with_key(cleared, &key)).await;
    let cleared = cleared.unwrap().into_inner().organization.unwrap();
    assert_eq!(cleared.retention_days, None);
    let by_slug = GetOrganizationRequest {
        by: Some(By::Slug("acme".to_owned())),
    };
    for request in [by_id(&made.id), by_slug] {
        let found = client.get_organization(with_key(request, &key)).await.unwrap();
        assert_eq!(found.into_inner().organization, Some(cleared.clone()));
    }

    let values = Organization {
        branding: Some(Branding {
            name: Some("Acme People".to_owned()),
            logo_url: Some("http://acme.example.com/logo.png".to_owned()),
            ..Branding::default()
        }),
        ..Organization::default()
    };
    let insecure = update(&made.id, values.clone(), &["branding.name", "branding.logo_url"]);
    let insecure = client.update_organization(with_key(insecure, &key)).await;
    assert_eq!(faults(insecure), ["organization.branding.logo_url"]);
    let branded = update(&made.id, values, &["branding.name"]);
    let branded = client.update_organization(with_key(branded, &key)).await;
    let branded = branded
        .unwrap()
        .into_inner()
        .organization
        .unwrap()
        .branding
        .unwrap();
    let expected = Branding {
        name: Some("Acme People".to_owned()),
        ..Branding::default()
    };
    assert_eq!(branded, expected);

    let delete = DeleteOrganizationRequest { id: made.id.clone() };
    client
        .delete_organization(with_key(delete.clone(), &key))
        .await
        .unwrap();
    let gone = client.get_organization(with_key(by_id(&made.id), &key)).await;
    assert_status(gone, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    let again = client.delete_organization(with_key(delete, &key)).await;
    assert_status(again, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    let keys = ListApiKeysRequest {
        organization_id: made.id,
        ..ListApiKeysRequest::default()
    };
    let keys = app.api_keys().list_api_keys(with_key(keys, &key)).await;
    assert_status(keys, Code::NotFound, "ORGANIZATION_NOT_FOUND");
}

#[tokio::test]
async fn staff_linked_without_a_role_get_the_default_role_of_their_organization() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite, Scope::Admin]).await;
    let staff = |email: &str| LinkMemberRequest {
        email: Some(email.to_owned()),
        staff: true,
        ..LinkMemberRequest::default()
    };
    let sally = linked(&app, staff("sally@acme.example.com"), &key).await;
    assert_eq!((sally.role(), sally.portal_role.clone()), (Role::Viewer, None));
    let values = Organization {
        default_role: Role::Admin.into(),
        ..Organization::default()
    };
    let update = update(&acme.id.to_string(), values, &["default_role"]);
    app.organizations()
        .update_organization(with_key(update, &key))
        .await
        .unwrap();
    let tom = linked(&app, staff("tom@acme.example.com"), &key).await;
    assert_eq!(tom.role(), Role::Admin);
    assert_eq!(linked(&app, staff("sally@acme.example.com"), &key).await, sally);
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let app = TestApp::start(Form::Embedded).await;
    let key = app.deployment_key(&[Scope::Admin]).await;
    let mut client = app.organizations();
    let first = client
        .create_organization(once(create("acme"), &key, "one"))
        .await;
    let first = first.unwrap().into_inner();
    let again = client
        .create_organization(once(create("acme"), &key, "one"))
        .await;
    assert_eq!(again.unwrap().into_inner(), first);
    let other = client
        .create_organization(once(create("other"), &key, "one"))
        .await;
    assert_status(other, Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    // Another key's tokens are others.
    let other = app.deployment_key(&[Scope::Admin]).await;
    let other = client
        .create_organization(once(create("acme"), &other, "one"))
        .await;
    assert_status(other, Code::AlreadyExists, "SLUG_ALREADY_EXISTS");
    for bad in ["", &"x".repeat(256)] {
        let bad = client.create_organization(once(create("bad"), &key, bad)).await;
        assert_eq!(faults(bad), ["idempotency-key"]);
    }

    let mut client = app.api_keys();
    let request = || key_of("", &["directory.read"]);
    let made = client.create_api_key(once(request(), &key, "two")).await;
    let made = made.unwrap().into_inner();
    let again = client.create_api_key(once(request(), &key, "two")).await;
    let again = again.unwrap().into_inner();
    assert_eq!(again.api_key, made.api_key);
    assert!(made.secret.starts_with("pb_") && again.secret.is_empty());
}

#[tokio::test]
async fn organizations_come_in_pages() {
    let app = TestApp::start(Form::Embedded).await;
    let key = app.deployment_key(&[Scope::Admin]).await;
    for slug in ["d", "b", "e", "a", "c"] {
        app.organization(slug).await;
    }
    let mut client = app.organizations();
    let (mut slugs, mut pages, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ListOrganizationsRequest {
            page_size: 2,
            page_token,
        };
        let page = client.list_organizations(with_key(request, &key)).await.unwrap();
        let page = page.into_inner();
        pages.push(page.organizations.len());
        slugs.extend(page.organizations.into_iter().map(|found| found.slug));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((slugs.concat().as_str(), pages), ("abcde", vec![2, 2, 1]));
    for (page_size, page_token, expected) in [
        (-1, "", vec!["page_size"]),
        (501, "x", vec!["page_size", "page_token"]),
    ] {
        let request = ListOrganizationsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        let bad = client.list_organizations(with_key(request, &key)).await;
        assert_eq!(faults(bad), expected);
    }
}

#[tokio::test]
async fn a_key_of_one_organization_manages_that_one_only() {
    let app = TestApp::start(Form::Embedded).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let key = app.key(&acme, &[Scope::Admin]).await;
    let (own, other) = (acme.id.to_string(), globex.id.to_string());
    let mut organizations = app.organizations();
    let made = organizations
        .create_organization(with_key(create("new"), &key))
        .await;
    assert_status(made, Code::PermissionDenied, "DEPLOYMENT_KEY_REQUIRED");
    organizations
        .get_organization(with_key(by_id(&own), &key))
        .await
        .unwrap();
    let by_slug = GetOrganizationRequest {
        by: Some(By::Slug("globex".to_owned())),
    };
    for request in [by_id(&other), by_id(NO_ID), by_slug] {
        let found = organizations.get_organization(with_key(request, &key)).await;
        assert_status(found, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    }
    let renamed = update(&other, Organization::default(), &["retention_days"]);
    let renamed = organizations.update_organization(with_key(renamed, &key)).await;
    assert_status(renamed, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    let deleted = DeleteOrganizationRequest { id: other.clone() };
    let deleted = organizations.delete_organization(with_key(deleted, &key)).await;
    assert_status(deleted, Code::NotFound, "ORGANIZATION_NOT_FOUND");
    let listed = ListOrganizationsRequest::default();
    let listed = organizations.list_organizations(with_key(listed, &key)).await;
    let listed = listed.unwrap().into_inner().organizations;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, own);

    let mut keys = app.api_keys();
    keys.create_api_key(with_key(key_of(&own, &["directory.read"]), &key))
        .await
        .unwrap();
    let made = keys.create_api_key(with_key(key_of("", &["admin"]), &key)).await;
    assert_status(made, Code::PermissionDenied, "DEPLOYMENT_KEY_REQUIRED");
    let made = keys
        .create_api_key(with_key(key_of(&other, &["admin"]), &key))
        .await;
    assert_status(made, Code::NotFound, "ORGANIZATION_NOT_FOUND");
}

#[tokio::test]
async fn managing_takes_the_scope() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let scopes = [Scope::PublicApi, Scope::DirectoryRead, Scope::DirectoryWrite];
    let unscoped = app.key(&acme, &scopes).await;
    for key in [&unscoped, "pb_unknown"] {
        let list = ListOrganizationsRequest::default();
        let listed = app.organizations().list_organizations(with_key(list, key)).await;
        assert_status(listed, Code::Unauthenticated, "INVALID_API_KEY");
        let made = app
            .api_keys()
            .create_api_key(with_key(key_of("", &[]), key))
            .await;
        assert_status(made, Code::Unauthenticated, "INVALID_API_KEY");
    }
    // The public API is about an organization, and this key has none.
    let none = app.deployment_key(&[Scope::PublicApi]).await;
    assert_status(app.ping(&none).await, Code::Unauthenticated, "INVALID_API_KEY");
}

#[tokio::test]
async fn all_faults_of_a_request_come_together() {
    let app = TestApp::start(Form::Embedded).await;
    let key = app.deployment_key(&[Scope::Admin]).await;
    let acme = app.organization("acme").await.id.to_string();
    let mut organizations = app.organizations();
    let bad = CreateOrganizationRequest {
        slug: "Not a slug".to_owned(),
        name: "a\nb".to_owned(),
    };
    let bad = organizations.create_organization(with_key(bad, &key)).await;
    let mut fields = faults(bad);
    fields.sort();
    assert_eq!(fields, ["name", "slug"]);
    let empty = organizations
        .create_organization(with_key(create(""), &key))
        .await;
    assert_eq!(faults(empty), ["slug"]);
    let nothing = GetOrganizationRequest { by: None };
    let nothing = organizations.get_organization(with_key(nothing, &key)).await;
    assert_eq!(faults(nothing), ["by"]);

    let values = Organization {
        default_role: 77,
        retention_days: Some(36_501),
        ..Organization::default()
    };
    let paths = ["slug", "name", "default_role", "retention_days", "id"];
    let bad = update("x", values, &paths);
    let bad = faults(organizations.update_organization(with_key(bad, &key)).await);
    let expected = [
        "id",
        "update_mask",
        "organization.slug",
        "organization.name",
        "organization.default_role",
        "organization.retention_days",
    ];
    assert_eq!(bad, expected);
    let none = update(&acme, Organization::default(), &[]);
    let none = organizations.update_organization(with_key(none, &key)).await;
    assert_eq!(faults(none), ["update_mask"]);
    let role = update(&acme, Organization::default(), &["default_role"]);
    let role = organizations.update_organization(with_key(role, &key)).await;
    assert_eq!(faults(role), ["organization.default_role"]);

    let mut keys = app.api_keys();
    let bad = CreateApiKeyRequest {
        organization_id: "x".to_owned(),
        scopes: vec!["root".to_owned()],
        expires_at: Some(Timestamp { seconds: 1, nanos: 0 }),
    };
    let bad = faults(keys.create_api_key(with_key(bad, &key)).await);
    assert_eq!(bad, ["organization_id", "scopes[0]", "expires_at"]);
    for scopes in [&[][..], &["public_api"]] {
        let bad = keys.create_api_key(with_key(key_of("", scopes), &key)).await;
        assert_eq!(faults(bad), ["scopes"]);
    }
    let bad = RotateApiKeyRequest {
        organization_id: "x".to_owned(),
        id: "y".to_owned(),
        overlap: Some(Duration {
            seconds: -1,
            nanos: 0,
        }),
        expires_at: Some(Timestamp { seconds: 1, nanos: 0 }),
        never_expires: true,
    };
    let bad = faults(keys.rotate_api_key(with_key(bad, &key)).await);
    let expected = ["overlap", "organization_id", "id", "never_expires", "expires_at"];
    assert_eq!(bad, expected);
}

#[tokio::test]
async fn a_key_is_made_listed_rotated_and_revoked() {
    let app = TestApp::start(Form::Embedded).await;
    let key = app.deployment_key(&[Scope::Admin]).await;
    let acme = app.organization("acme").await.id.to_string();
    let mut client = app.api_keys();
    let in_an_hour = CLOCK.now().as_millis() / 1000 + 3600;
    let request = CreateApiKeyRequest {
        expires_at: Some(Timestamp {
            seconds: in_an_hour,
            nanos: 0,
        }),
        ..key_of(&acme, &["public_api", "admin"])
    };
    let made = client.create_api_key(with_key(request, &key)).await.unwrap();
    let made = made.into_inner();
    let old = made.api_key.unwrap();
    assert_eq!(old.scopes, ["public_api", "admin"]);
    assert!(made.secret.starts_with(&old.hint));
    assert_eq!(old.expires_at.unwrap().seconds, in_an_hour);
    assert_eq!(app.ping(&made.secret).await.unwrap().organization_id, acme);
    let second = key_of(&acme, &["public_api"]);
    let second = client.create_api_key(with_key(second, &key)).await;
    assert_status(second, Code::AlreadyExists, "PUBLIC_KEY_ALREADY_EXISTS");

    let rotate = |id: &str, overlap: Option<Duration>| RotateApiKeyRequest {
        organization_id: acme.clone(),
        id: id.to_owned(),
        overlap,
        ..RotateApiKeyRequest::default()
    };
    let minute = Duration {
        seconds: 60,
        nanos: 0,
    };
    let new = client
        .rotate_api_key(with_key(rotate(&old.id, Some(minute)), &key))
        .await;
    let new = new.unwrap().into_inner();
    for secret in [&made.secret, &new.secret] {
        app.ping(secret).await.unwrap();
    }
    let again = client.rotate_api_key(with_key(rotate(&old.id, None), &key)).await;
    assert_status(again, Code::NotFound, "API_KEY_NOT_FOUND");
    let new_id = new.api_key.unwrap().id;
    let newest = client.rotate_api_key(with_key(rotate(&new_id, None), &key)).await;
    let newest = newest.unwrap().into_inner();
    assert_status(
        app.ping(&new.secret).await,
        Code::Unauthenticated,
        "INVALID_API_KEY",
    );

    let revoke = RevokeApiKeyRequest {
        organization_id: acme.clone(),
        id: newest.api_key.unwrap().id,
    };
    client
        .revoke_api_key(with_key(revoke.clone(), &key))
        .await
        .unwrap();
    assert_status(
        app.ping(&newest.secret).await,
        Code::Unauthenticated,
        "INVALID_API_KEY",
    );
    let again = client.revoke_api_key(with_key(revoke.clone(), &key)).await;
    assert_status(again, Code::NotFound, "API_KEY_NOT_FOUND");
    let found = client.get_api_key(with_key(named(&acme, &revoke.id), &key)).await;
    assert!(found.unwrap().into_inner().api_key.unwrap().revoked_at.is_some());
    let elsewhere = client.get_api_key(with_key(named("", &revoke.id), &key)).await;
    assert_status(elsewhere, Code::NotFound, "API_KEY_NOT_FOUND");

    let (mut listed, mut page_token): (Vec<ApiKey>, _) = (Vec::new(), String::new());
    loop {
        let request = ListApiKeysRequest {
            organization_id: acme.clone(),
            page_size: 2,
            page_token,
        };
        let page = client.list_api_keys(with_key(request, &key)).await.unwrap();
        let page = page.into_inner();
        listed.extend(page.api_keys);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        // A token is good for the keys of one organization.
        let request = ListApiKeysRequest {
            organization_id: String::new(),
            page_size: 2,
            page_token: page_token.clone(),
        };
        let other = client.list_api_keys(with_key(request, &key)).await;
        assert_eq!(faults(other), ["page_token"]);
    }
    assert_eq!(listed.len(), 3);
}

#[tokio::test]
async fn when_a_key_was_used_is_written_down_later() {
    let app = TestApp::start(Form::Embedded).await;
    let key = app.deployment_key(&[Scope::Admin]).await;
    let last_used = async || {
        // The operator's look uses no key.
        let page = PageRequest {
            after: None,
            limit: 1,
        };
        let keys = app
            .directory()
            .api_keys(Admin::OPERATOR, None, page)
            .await
            .unwrap();
        keys.items[0].last_used_at
    };
    assert_eq!(last_used().await, None);
    let request = with_key(ListApiKeysRequest::default(), &key);
    app.api_keys().list_api_keys(request).await.unwrap();
    // The server writes it down by itself too, and may be about to.
    let written = async {
        while last_used().await.is_none() {
            app.directory().flush_last_used().await;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), written)
        .await
        .unwrap();
}
