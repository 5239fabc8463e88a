//! The sample organization of `userbridge serve --demo`.

use std::time::Duration;

use serde::Serialize;

use super::CliError;
use crate::{
    domain::{
        AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, InvalidText, MemberPatch, OrganizationId,
        OrganizationName, Page, Scope, Slug,
    },
    server::Server,
    service::{Admin, CreatedApiKey, Directory, LinkRequest, OrganizationKey, Read, ServiceError, Write},
    storage::{Answer, Conflict, MemberKey, Missing, Once},
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
    let name = OrganizationName::new("Acme Inc").map_err(invalid)?;
    let organization = organization(directory, slug, name).await?;
    let created = public_key(directory, organization).await?;
    let grant = Write::operator(organization);
    for (email, name, company, status) in PEOPLE {
        let link = person(email, name, company, status).map_err(invalid)?;
        directory.link_member(grant, link, Once::unrepeated()).await?;
    }
    let email = PEOPLE[0].0;
    let key = MemberKey::Email(Email::new(email).map_err(invalid)?);
    let member = directory.member(Read::operator(organization), key, false).await?.member;
    Ok(Demo {
        organization: organization.to_string(),
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

async fn organization(
    directory: &Directory,
    slug: Slug,
    name: OrganizationName,
) -> Result<OrganizationId, CliError> {
    let found = directory.organization(Admin::OPERATOR, OrganizationKey::Slug(slug.clone())).await;
    match found {
        Ok(organization) => Ok(organization.id),
        Err(ServiceError::NotFound(Missing::Organization)) => {
            let created = directory.create_organization(Admin::OPERATOR, slug, name, Once::unrepeated()).await?;
            Ok(first(created)?.id)
        }
        Err(error) => Err(error.into()),
    }
}

async fn public_key(directory: &Directory, organization: OrganizationId) -> Result<CreatedApiKey, CliError> {
    let grant = Admin::OPERATOR;
    let organization = Some(organization);
    let scopes = [Scope::PublicApi].into_iter().collect();
    match directory.create_api_key(grant, organization, scopes, None, Once::unrepeated()).await {
        Ok(created) => first(created),
        Err(ServiceError::Conflict(Conflict::PublicKey)) => {
            let page = Page { after: None, limit: u32::MAX };
            let keys = directory.api_keys(grant, organization, page).await?;
            let old = keys
                .iter()
                .rev()
                .find(|key| key.revoked_at.is_none() && key.scopes.contains(Scope::PublicApi));
            let old = old.ok_or(ServiceError::NotFound(Missing::ApiKey))?;
            Ok(directory.rotate_api_key(grant, organization, old.id, Duration::ZERO).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// The answer to a request that is not repeated.
fn first<T>(answer: Answer<T>) -> Result<T, CliError> {
    match answer {
        Answer::New(value) => Ok(value),
        Answer::Repeated(_) => Err(CliError::Conflict("it was done before".to_owned())),
    }
}

fn person(email: &str, name: &str, company: &str, status: &str) -> Result<LinkRequest, InvalidText> {
    let picture = name.to_lowercase().replace(' ', "-");
    let avatar_url = AvatarUrl::new(format!("https://acme.example.com/avatars/{picture}.png"))?;
    Ok(LinkRequest {
        values: MemberPatch {
            email: Some(Some(Email::new(email)?)),
            name: Some(Some(DisplayName::new(name)?)),
            avatar_url: Some(Some(avatar_url)),
            company_name: Some(Some(CompanyName::new(company)?)),
            customer_status: Some(Some(CustomerStatus::new(status)?)),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    })
}

/// The sample data are constants, and a test starts the demo.
fn invalid(error: InvalidText) -> CliError {
    CliError::Io(std::io::Error::other(error))
}
