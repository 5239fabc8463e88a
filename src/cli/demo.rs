//! The sample organization of `userbridge serve --demo`.

use std::io::{self, Write as _};

use serde::Serialize;
use tokio::sync::mpsc;

use super::CliError;
use crate::{
    domain::{
        ApiKeySecret, AvatarUrl, CompanyName, Conflict, CustomerStatus, DisplayName, Email, Idempotency,
        Idempotent, InvalidText, LinkRequest, MemberPatch, MemberRef, OrganizationId, OrganizationName,
        OrganizationRef, PageRequest, Resource, Role, Scope, Slug,
    },
    server::Server,
    service::{Admin, Directory, Read, ServiceError, Write},
};

/// Address, name, company, status.
const PEOPLE: [(&str, &str, &str, &str); 4] = [
    ("sally@acme.example.com", "Sally Doe", "Acme Inc", "paying"),
    ("tom@initech.example.com", "Tom Smykowski", "Initech", "trial"),
    ("ana@globex.example.com", "Ana Souza", "Globex", "churned"),
    ("jürgen@bücher.example", "Jürgen Groß", "Bücher & Söhne", "paying"),
];

/// Who owns the sample organization.
const OWNER: (&str, &str) = ("owner@acme.example.com", "Olivia Owner");

/// What the requests to paste are about.
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
    match directory
        .create_organization(Admin::OPERATOR, slug.clone(), name, Idempotency::never())
        .await
    {
        Ok(_) | Err(ServiceError::Conflict(Conflict::Slug)) => {}
        Err(error) => return Err(error.into()),
    }
    let organization = directory
        .organization(Admin::OPERATOR, OrganizationRef::Slug(slug))
        .await?
        .id;
    let key = public_key(directory, organization).await?;
    for (email, name, company, status) in PEOPLE {
        let values = values(email, name, company, status).map_err(invalid)?;
        let link = LinkRequest {
            values,
            ..LinkRequest::default()
        };
        directory
            .link_member(Write::operator(organization), link, Idempotency::never())
            .await?;
    }
    let owner = LinkRequest {
        values: MemberPatch {
            email: Some(Some(Email::new(OWNER.0).map_err(invalid)?)),
            name: Some(Some(DisplayName::new(OWNER.1).map_err(invalid)?)),
            role: Some(Some(Role::Owner)),
            ..MemberPatch::default()
        },
        staff: true,
        send_onboarding_mail: true,
        ..LinkRequest::default()
    };
    directory
        .link_member(Write::operator(organization), owner, Idempotency::never())
        .await?;
    let email = Email::new(PEOPLE[0].0).map_err(invalid)?;
    let sally = directory
        .member(Read::operator(organization), MemberRef::Email(email), false)
        .await?;
    Ok(Demo {
        organization: organization.to_string(),
        key: key.reveal().to_owned(),
        user_id: sally.user_id.to_string(),
        email: PEOPLE[0].0,
    })
}

/// Prints the link of the mail to the owner, once it was written.
pub(super) async fn tell_link(mut sent: mpsc::Receiver<String>) {
    if let Some(link) = sent.recv().await {
        // Nobody may read it any more.
        let _ = writeln!(io::stdout(), "Set the password of {}:\n\n  {link}\n", OWNER.0);
    }
}

/// A new public key; the one there was is revoked.
async fn public_key(directory: &Directory, organization: OrganizationId) -> Result<ApiKeySecret, CliError> {
    let page = PageRequest {
        after: None,
        limit: u32::MAX,
    };
    for key in directory
        .api_keys(Admin::OPERATOR, Some(organization), page)
        .await?
        .items
    {
        if key.revoked_at.is_none() && key.scopes.contains(Scope::PublicApi) {
            directory
                .revoke_api_key(Admin::OPERATOR, Some(organization), key.id)
                .await?;
        }
    }
    let scopes = [Scope::PublicApi].into_iter().collect();
    let created = directory
        .create_api_key(
            Admin::OPERATOR,
            Some(organization),
            scopes,
            None,
            Idempotency::never(),
        )
        .await?;
    match created {
        Idempotent::Fresh(created) => Ok(created.secret),
        Idempotent::Replayed(_) => Err(CliError::NotFound(Resource::ApiKey.to_string())),
    }
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

fn values(email: &str, name: &str, company: &str, status: &str) -> Result<MemberPatch, InvalidText> {
    let picture = name.to_lowercase().replace(' ', "-");
    Ok(MemberPatch {
        email: Some(Some(Email::new(email)?)),
        name: Some(Some(DisplayName::new(name)?)),
        avatar_url: Some(Some(AvatarUrl::new(format!(
            "https://acme.example.com/avatars/{picture}.png"
        ))?)),
        company_name: Some(Some(CompanyName::new(company)?)),
        customer_status: Some(Some(CustomerStatus::new(status)?)),
        ..MemberPatch::default()
    })
}

/// The sample data are constants, and a test starts the demo.
fn invalid(error: InvalidText) -> CliError {
    CliError::Io(std::io::Error::other(error))
}
