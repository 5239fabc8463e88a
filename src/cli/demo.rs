//! The sample organization of `userbridge serve --demo`.

use std::time::Duration;

use serde::Serialize;

use super::CliError;
use crate::{
    domain::{
        Actor, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, InvalidText, MemberLookup,
        OrganizationName, Page, Profile, Scope, Slug,
    },
    server::Server,
    service::{Directory, LinkMember, ServiceError},
    storage::Conflict,
};

/// Address, name, company, status.
const PEOPLE: [(&str, &str, &str, &str); 4] = [
    ("sally@acme.example.com", "Sally Doe", "Acme Inc", "paying"),
    ("tom@initech.example.com", "Tom Smykowski", "Initech", "trial"),
    ("ana@globex.example.com", "Ana Souza", "Globex", "churned"),
    ("jürgen@bücher.example", "Jürgen Groß", "Bücher & Söhne", "paying"),
];

/// What there is to play with.
#[derive(Serialize)]
pub(super) struct Demo {
    organization: String,
    key: String,
    user_id: String,
    email: &'static str,
}

/// Adds what is missing. On a database that has the organization already, its key is replaced.
pub(super) async fn prepare(directory: &Directory) -> Result<Demo, CliError> {
    let slug = Slug::new("acme").map_err(invalid)?;
    let organization = match directory.organization(&slug).await {
        Err(ServiceError::OrganizationNotFound) => {
            let name = OrganizationName::new("Acme Inc").map_err(invalid)?;
            directory.create_organization(slug, name, Actor::Operator).await?
        }
        found => found?,
    };
    let scopes = [Scope::PublicApi].into_iter().collect();
    let created = match directory
        .create_api_key(organization.id, scopes, None, Actor::Operator)
        .await
    {
        Err(ServiceError::Conflict(Conflict::PublicKey)) => {
            let keys = directory
                .api_keys(
                    organization.id,
                    Page {
                        after: None,
                        limit: u32::MAX,
                    },
                )
                .await?;
            let old = keys
                .iter()
                .rev()
                .find(|key| key.revoked_at.is_none() && key.scopes.contains(Scope::PublicApi));
            let old = old.ok_or(ServiceError::ApiKeyNotFound)?;
            directory
                .rotate_api_key(organization.id, old, Duration::ZERO, Actor::Operator)
                .await?
        }
        created => created?,
    };
    for (email, name, company, status) in PEOPLE {
        let link = LinkMember {
            user_id: None,
            profile: profile(email, name, company, status).map_err(invalid)?,
        };
        match directory
            .link_member(organization.id, link, Actor::Operator)
            .await
        {
            Ok(_) | Err(ServiceError::Conflict(Conflict::Member)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let email = PEOPLE[0].0;
    let member = directory
        .member(organization.id, MemberLookup::Email(email.to_owned()))
        .await?;
    Ok(Demo {
        organization: organization.id.to_string(),
        key: created.secret.reveal().to_owned(),
        user_id: member.user_id.to_string(),
        email,
    })
}

impl Demo {
    /// Lines to paste into a shell.
    pub(super) fn instructions(&self, server: &Server) -> String {
        let Self {
            key, user_id, email, ..
        } = self;
        let (http, grpc) = (server.http_addr, server.grpc_addr);
        format!(
            r#"
A sample organization is ready. Its key and one of its users:

  export USERBRIDGE_API_KEY={key}
  export USERBRIDGE_USER_ID={user_id}

Retrieve a user, by email and by id:

  curl -X POST http://{http}/api/external/v1/users/retrieve \
    -H 'Content-Type: application/json' \
    -d '{{"api_key":"{key}","email":"{email}"}}'

  curl -X POST http://{http}/api/external/v1/users/retrieve \
    -H 'Content-Type: application/json' \
    -d '{{"api_key":"{key}","user_id":"{user_id}"}}'

The same over gRPC:

  grpcurl -plaintext {grpc} list

  grpcurl -plaintext -H 'authorization: Bearer {key}' \
    -d '{{"email":"{email}"}}' {grpc} userbridge.users.v1.UserService/Retrieve

Revoke the user's link to the organization:

  curl -X POST http://{http}/api/external/v1/users/delete \
    -H 'Content-Type: application/json' \
    -d '{{"api_key":"{key}","user_id":"{user_id}"}}'
"#
        )
    }
}

fn profile(email: &str, name: &str, company: &str, status: &str) -> Result<Profile, InvalidText> {
    Ok(Profile {
        email: Some(Email::new(email)?),
        name: Some(DisplayName::new(name)?),
        avatar_url: Some(AvatarUrl::new(format!(
            "https://acme.example.com/avatars/{}.png",
            name.to_lowercase().replace(' ', "-")
        ))?),
        company_name: Some(CompanyName::new(company)?),
        customer_status: Some(CustomerStatus::new(status)?),
        ..Profile::default()
    })
}

/// The sample data are constants, and a test starts the demo.
fn invalid(error: InvalidText) -> CliError {
    CliError::Io(std::io::Error::other(error))
}
