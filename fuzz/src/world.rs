//! The directory that inputs are tried on, and who calls it.

use std::{cell::RefCell, fmt};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde::de::IgnoredAny;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tonic::service::Routes;
use tower::ServiceExt as _;
use userbridge::{
    domain::{
        Email, Idempotency, Idempotent, LinkRequest, Member, MemberPatch, Organization, OrganizationName,
        Role, Scope, Slug, TeamName, TeamSlug,
    },
    rpc::Services,
    service::{Admin, Directory, Write},
    storage::{self, Migrate},
};
use userbridge_gateway::{Settings, Upstream, router};

/// Inputs that are tried on one directory. Then there is a new one, so that none is far from its beginning.
const INPUTS: u32 = 10_000;

pub(crate) const PEOPLE: &str = "/cloud-views/user-management-portal/users";

/// A running directory. The organization `acme` has owners, staff, end users and teams; `globex` has one owner.
pub(crate) struct World {
    runtime: Runtime,
    gateway: Router,
    pub(crate) grpc: Routes,
    pub(crate) organization: String,
    /// Of the scope `public_api`.
    pub(crate) public_key: String,
    /// Of the scopes for members, for `acme` alone.
    pub(crate) directory_key: String,
    /// Of all scopes but `public_api`, for every organization.
    pub(crate) key: String,
    /// Of an owner on the pages.
    pub(crate) session: String,
    /// What stands in inputs, which can't know it, for what is there: as long, so that a length before it stays right.
    stand_ins: Vec<(Vec<u8>, Vec<u8>)>,
    _folder: TempDir,
}

/// An answer of the gateway, all of it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header. Empty: it has none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What it says. Null if that is nested deeper than `serde_json` goes.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// That it is JSON, however deep.
    pub(crate) fn assert_is_json(&self) {
        assert!(
            self.header("content-type").starts_with("application/json"),
            "{self:?}"
        );
        let read = serde_json::from_slice::<IgnoredAny>(&self.body);
        read.unwrap_or_else(|error| panic!("{error}: {self:?}"));
    }

    /// The same, and that it has one of these statuses.
    pub(crate) fn assert_json(&self, statuses: &[u16]) {
        assert!(statuses.contains(&self.status.as_u16()), "{self:?}");
        self.assert_is_json();
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {body}", self.status, self.headers)
    }
}

/// Does something with the directory of this thread.
pub(crate) fn with_world<T>(then: impl FnOnce(&World) -> T) -> T {
    thread_local! {
        static WORLD: RefCell<Option<(World, u32)>> = const { RefCell::new(None) };
    }
    WORLD.with_borrow_mut(|there| {
        if there.as_ref().is_some_and(|(_, tried)| *tried == INPUTS) {
            *there = None;
        }
        let (world, tried) = there.get_or_insert_with(|| (World::new(), 0));
        *tried += 1;
        then(world)
    })
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("users.db").display());
        let (services, directory) = runtime.block_on(async {
            let storage = storage::connect(&url, Migrate::Always).await.unwrap();
            let directory = Directory::new(storage);
            let services = Services::new().await;
            services.ready(directory.clone()).await;
            (services, directory)
        });
        let mut world = Self {
            runtime,
            gateway: router(Upstream::in_process(services.published()), &Settings::default()),
            grpc: services.routes().unwrap(),
            organization: String::new(),
            public_key: String::new(),
            directory_key: String::new(),
            key: String::new(),
            session: String::new(),
            stand_ins: Vec::new(),
            _folder: folder,
        };
        world.fill(&directory);
        world
    }

    /// Runs a call to its end.
    pub(crate) fn run<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    fn fill(&mut self, directory: &Directory) {
        let acme = self.run(organization(directory, "acme"));
        let globex = self.run(organization(directory, "globex"));
        let ada = self.run(link(directory, &acme, "ada", Some(Role::Owner)));
        let otto = self.run(link(directory, &acme, "otto", Some(Role::Owner)));
        for (name, role) in [
            ("grace", Some(Role::Admin)),
            ("edsger", Some(Role::Editor)),
            ("vera", Some(Role::Viewer)),
            ("sally", None),
            ("tom", None),
        ] {
            let member = self.run(link(directory, &acme, name, role));
            self.stand_ins
                .push(stand_in(&format!("{name}-"), &member.id.to_string()));
            self.stand_ins
                .push(stand_in(&format!("{name}-user-"), &member.user_id.to_string()));
        }
        self.run(link(directory, &globex, "gloria", Some(Role::Owner)));
        for (slug, name) in [("sales", "Sales"), ("support", "Support & Help")] {
            let (slug, name) = (TeamSlug::new(slug).unwrap(), TeamName::new(name).unwrap());
            let made = directory.create_team(Write::operator(acme.id), slug, name, Idempotency::never());
            self.run(made).unwrap();
        }
        self.organization = acme.id.to_string();
        self.public_key = self.run(key(directory, Some(&acme), &[Scope::PublicApi]));
        self.directory_key = self.run(key(
            directory,
            Some(&acme),
            &[Scope::DirectoryRead, Scope::DirectoryWrite],
        ));
        let others = [Scope::DirectoryRead, Scope::DirectoryWrite, Scope::Admin];
        self.key = self.run(key(directory, None, &others));
        let code = self
            .run(directory.issue_handover_code(Write::operator(acme.id), ada.id))
            .unwrap();
        let opened = self.send(get(&format!("{PEOPLE}?code={}", code.secret.reveal())));
        let cookie = opened.header("set-cookie").split(';').next().unwrap();
        cookie.split_once('=').unwrap().1.clone_into(&mut self.session);
        let mut invite = get(&format!("{PEOPLE}/invite"));
        invite.headers_mut().insert("cookie", cookie.parse().unwrap());
        let page = String::from_utf8(self.send(invite).body).unwrap();
        let (_, csrf) = page.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = csrf.split('"').next().unwrap();
        self.stand_ins.extend([
            stand_in("pb_public-", &self.public_key),
            stand_in("pb_directory-", &self.directory_key),
            stand_in("pb_all-", &self.key),
            stand_in("ubs_session-", &self.session),
            stand_in("csrf-", csrf),
            stand_in("acme-", &self.organization),
            stand_in("otto-", &otto.id.to_string()),
            stand_in("ada-", &ada.id.to_string()),
        ]);
    }

    /// The input, with what is there for what stands in for it.
    pub(crate) fn filled_in(&self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        let mut at = 0;
        while at < bytes.len() {
            let found = self
                .stand_ins
                .iter()
                .find(|(stand_in, _)| bytes[at..].starts_with(stand_in));
            if let Some((_, real)) = found {
                bytes[at..at + real.len()].copy_from_slice(real);
                at += real.len();
            } else {
                at += 1;
            }
        }
        bytes
    }

    /// Sends a request to the gateway.
    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        self.run(async {
            let answer: Response<Body> = self.gateway.clone().oneshot(request).await.unwrap();
            let (head, body) = answer.into_parts();
            Answer {
                status: head.status,
                headers: head.headers,
                body: body.collect().await.unwrap().to_bytes().to_vec(),
            }
        })
    }

    /// Sends a JSON body to the gateway, with all that its contracts have for a key.
    pub(crate) fn post_json(&self, path: &str, body: Vec<u8>) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.directory_key))
            .header("x-api-key", &self.directory_key)
            .header("x-tenant-id", &self.organization);
        self.send(request.body(Body::from(body)).unwrap())
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// A name, filled up to the length of what it stands for.
fn stand_in(name: &str, real: &str) -> (Vec<u8>, Vec<u8>) {
    (
        format!("{name:-<0$}", real.len()).into_bytes(),
        real.as_bytes().to_vec(),
    )
}

fn fresh<T>(answer: Idempotent<T>) -> T {
    match answer {
        Idempotent::Fresh(value) => value,
        Idempotent::Replayed(_) => unreachable!("nothing is repeated"),
    }
}

async fn organization(directory: &Directory, slug: &str) -> Organization {
    let (slug, name) = (Slug::new(slug).unwrap(), OrganizationName::new(slug).unwrap());
    let made = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
    fresh(made.await.unwrap())
}

async fn key(directory: &Directory, organization: Option<&Organization>, scopes: &[Scope]) -> String {
    let organization = organization.map(|organization| organization.id);
    let scopes = scopes.iter().copied().collect();
    let made = directory.create_api_key(Admin::OPERATOR, organization, scopes, None, Idempotency::never());
    fresh(made.await.unwrap()).secret.reveal().to_owned()
}

async fn link(directory: &Directory, organization: &Organization, name: &str, role: Option<Role>) -> Member {
    let link = LinkRequest {
        values: MemberPatch {
            email: Some(Some(Email::new(format!("{name}@example.com")).unwrap())),
            name: Some(Some(name.parse().unwrap())),
            role: role.map(Some),
            ..MemberPatch::default()
        },
        ..LinkRequest::default()
    };
    let linked = directory.link_member(Write::operator(organization.id), link, Idempotency::never());
    fresh(linked.await.unwrap()).member
}
