//! A server with TLS, and an organization in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;
use userbridge::{
    domain::{
        Email, Idempotency, Idempotent, LinkRequest, MemberPatch, OrganizationId, OrganizationName, Role,
        Scope, Slug,
    },
    service::{Admin, Directory, Write},
    storage::{self, Migrate},
};

use crate::{Result, crowd::Crowd, server::Server};

/// The name by which clients call the server.
pub(crate) const HOST: &str = "userbridge.example.com";

/// People of the organization, beside those whom the load links and removes.
pub(crate) const PEOPLE: u32 = 1000;

/// A running server.
pub(crate) struct Place {
    pub(crate) server: Server,
    /// The write-ahead log, if it is SQLite's.
    pub(crate) log: Option<PathBuf>,
    /// Its certificate, in PEM and in DER.
    pub(crate) pem: String,
    pub(crate) certificate: CertificateDer<'static>,
    /// Opens the public API.
    pub(crate) public_key: String,
    /// Opens the directory, for changes too.
    pub(crate) key: String,
    pub(crate) organization: String,
    /// The id of an administrator.
    pub(crate) administrator: String,
    /// Of another organization.
    pub(crate) crowd: Crowd,
    _folder: TempDir,
}

impl Place {
    pub(crate) async fn start(
        program: Option<&Path>,
        database_url: Option<&str>,
        crowd: usize,
    ) -> Result<Self> {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(parent)?;
        let folder = tempfile::tempdir_in(parent)?;
        let file = folder.path().join("users.db");
        let url = database_url.map_or_else(|| format!("sqlite:{}", file.display()), ToOwned::to_owned);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.self_signed(&key)?;
        let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        fs::write(&cert_file, certificate.pem())?;
        fs::write(&key_file, key.serialize_pem())?;

        let storage = storage::connect(&url, Migrate::Always).await?;
        let directory = Directory::new(storage.clone());
        let organization = new_organization(&directory, "soak").await?;
        let public_key = new_key(&directory, organization, Scope::PublicApi).await?;
        let key = new_key(&directory, organization, Scope::DirectoryWrite).await?;
        let administrator = link(&directory, organization, "administrator", Some(Role::Owner)).await?;
        for number in 0..PEOPLE {
            link(&directory, organization, &format!("person{number}"), None).await?;
        }
        let crowd = Crowd::make(&directory, crowd).await?;
        storage.close().await;

        let program = program.unwrap_or(Path::new(env!("CARGO_BIN_EXE_userbridge")));
        let flags = [
            "--tls-cert".as_ref(),
            cert_file.as_os_str(),
            "--tls-key".as_ref(),
            key_file.as_os_str(),
        ];
        Ok(Self {
            server: Server::start(program, &url, flags)?,
            log: database_url.is_none().then(|| folder.path().join("users.db-wal")),
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            public_key,
            key,
            organization: organization.to_string(),
            administrator,
            crowd,
            _folder: folder,
        })
    }
}

pub(crate) async fn new_organization(directory: &Directory, slug: &str) -> Result<OrganizationId> {
    let (slug, name) = (Slug::new(slug)?, OrganizationName::new(slug)?);
    let made = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    Ok(first(made.await?)?.id)
}

pub(crate) async fn new_key(
    directory: &Directory,
    organization: OrganizationId,
    scope: Scope,
) -> Result<String> {
    let scopes = [scope].into_iter().collect();
    let made = directory.create_api_key(
        Admin::OPERATOR,
        Some(organization),
        scopes,
        None,
        Idempotency::never(),
    );
    Ok(first(made.await?)?.secret.reveal().to_owned())
}

/// The id of a new member.
pub(crate) async fn link(
    directory: &Directory,
    organization: OrganizationId,
    name: &str,
    role: Option<Role>,
) -> Result<String> {
    let link = LinkRequest {
        values: MemberPatch {
            email: Some(Some(Email::new(format!("{name}@example.com"))?)),
            name: Some(Some(name.parse()?)),
            role: role.map(Some),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let linked = directory.link_member(Write::operator(organization), link, Idempotency::never());
    Ok(first(linked.await?)?.member.id.to_string())
}

fn first<T>(answer: Idempotent<T>) -> Result<T> {
    match answer {
        Idempotent::Fresh(value) => Ok(value),
        Idempotent::Replayed(_) => Err("nothing is repeated".into()),
    }
}
