//! A directory with everything in it, and all that a storage says of it.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use userbridge::{
    domain::{
        ApiKeyId, Clock as _, EventQuery, Idempotency, IdempotencyKey, KeyDigest, LinkRequest, Linked,
        Member, MemberFilter, MemberOrder, MemberPatch, MemberQuery, MemberRef, OrganizationId,
        OrganizationPatch, PageRequest, PasswordHash, PortalRole, Role, Scope, TokenKind, TokenSecret,
        UserId,
    },
    service::{Admin, Directory, Expiry, Write},
    storage::{self, Migrate, Storage},
};

use crate::support::{CLOCK, RANDOM, first, rules::Rules};

/// More than two steps of a copy.
const MANY: usize = 1100;

/// What is looked for in a directory.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(super) acme: OrganizationId,
    pub(super) organizations: Vec<OrganizationId>,
    /// Everybody of the few whom the directory was filled with by hand, as they were linked.
    pub(super) people: Vec<(OrganizationId, Member)>,
    /// Text of the current public key of acme, and of the one before it, which still works.
    pub(super) key: String,
    pub(super) old_key: String,
    /// Digests of tokens.
    pub(super) tokens: Vec<KeyDigest>,
    pub(super) keys: Vec<KeyDigest>,
    /// The only owner of acme.
    pub(super) owner: Member,
}

const fn all<K>() -> PageRequest<K> {
    PageRequest {
        after: None,
        limit: u32::MAX,
    }
}

pub(crate) async fn open(url: &str) -> Arc<dyn Storage> {
    storage::connect(url, Migrate::Never).await.unwrap()
}

fn named(email: &str, name: &str) -> MemberPatch {
    MemberPatch {
        email: Some(Some(email.parse().unwrap())),
        name: Some(Some(name.parse().unwrap())),
        ..MemberPatch::default()
    }
}

async fn link(directory: &Directory, organization: OrganizationId, request: LinkRequest) -> Member {
    let linked = directory.link_member(Write::operator(organization), request, Idempotency::never());
    first(linked.await.unwrap()).member
}

async fn person(directory: &Directory, organization: OrganizationId, values: MemberPatch) -> Member {
    let request = LinkRequest {
        values,
        ..LinkRequest::default()
    };
    link(directory, organization, request).await
}

async fn key(
    directory: &Directory,
    organization: Option<OrganizationId>,
    scope: Scope,
) -> (ApiKeyId, String) {
    let scopes = [scope].into_iter().collect();
    let created = directory.create_api_key(Admin::OPERATOR, organization, scopes, None, Idempotency::never());
    let created = first(created.await.unwrap());
    (created.key.id, created.secret.reveal().to_owned())
}

/// Keys of all states: their texts, and the id of one that speaks for all organizations.
struct Keys {
    old: String,
    current: String,
    revoked: String,
    deployment: String,
    caller: ApiKeyId,
}

async fn keys(directory: &Directory, acme: OrganizationId, globex: OrganizationId) -> Keys {
    let (replaced, old) = key(directory, Some(acme), Scope::PublicApi).await;
    let rotated = directory.rotate_api_key(
        Admin::OPERATOR,
        Some(acme),
        replaced,
        Duration::from_hours(1),
        Expiry::Never,
        Idempotency::never(),
    );
    let current = first(rotated.await.unwrap()).secret.reveal().to_owned();
    let (id, revoked) = key(directory, Some(globex), Scope::PublicApi).await;
    directory
        .revoke_api_key(Admin::OPERATOR, Some(globex), id)
        .await
        .unwrap();
    let (caller, deployment) = key(directory, None, Scope::Admin).await;
    Keys {
        old,
        current,
        revoked,
        deployment,
        caller,
    }
}

/// The only owner of an organization, with a mail to them.
async fn owner(directory: &Directory, organization: OrganizationId) -> Member {
    let request = LinkRequest {
        values: MemberPatch {
            role: Some(Some(Role::Owner)),
            given_name: Some(Some("Olivia".parse().unwrap())),
            family_name: Some(Some("Öwner".parse().unwrap())),
            email: Some(Some("owner@acme.example.com".parse().unwrap())),
            portal_role: Some(Some(PortalRole::new("end_user").unwrap())),
            locale: Some(Some("fr-CA".parse().unwrap())),
            ..MemberPatch::default()
        },
        staff: true,
        send_onboarding_mail: true,
        ..LinkRequest::default()
    };
    link(directory, organization, request).await
}

/// Somebody whose request is kept with its response.
async fn kept(directory: &Directory, organization: OrganizationId, caller: ApiKeyId, key: &str) -> Member {
    let request = LinkRequest {
        values: named(&format!("{key}@acme.example.com"), key),
        ..LinkRequest::default()
    };
    let once = Idempotency {
        key: Some(IdempotencyKey {
            api_key: caller,
            key: key.to_owned(),
            request: [7; 32],
        }),
        encode: |linked: &Linked| linked.member.id.to_string().into_bytes(),
    };
    let linked = directory.link_member(Write::operator(organization), request, once);
    first(linked.await.unwrap()).member
}

/// Changes people in all ways. They come in the order in which [`fill`] has linked them.
async fn change(directory: &Directory, acme: OrganizationId, people: &[(OrganizationId, Member)]) {
    let [
        owner,
        juergen,
        _,
        moved,
        revoked,
        back,
        erased,
        dropped,
        ..,
        shown,
    ] = people
    else {
        unreachable!()
    };
    let write = Write::operator(acme);
    for (member, email) in [
        (moved, Some("moved2@acme.example.com")),
        (moved, Some("moved3@acme.example.com")),
        (dropped, None),
    ] {
        let patch = MemberPatch {
            email: Some(email.map(|email| email.parse().unwrap())),
            ..MemberPatch::default()
        };
        let changed = directory.update_member(write.clone(), member.1.id, patch, None);
        changed.await.unwrap();
    }
    for member in [revoked, back, erased] {
        directory
            .revoke_member(write.clone(), member.1.id, None)
            .await
            .unwrap();
    }
    directory.restore_member(write.clone(), back.1.id).await.unwrap();
    for member in [erased, shown] {
        directory.erase_member(write.clone(), member.1.id).await.unwrap();
    }
    for slug in ["blue", "red", "removed"] {
        let (slug, name) = (slug.parse().unwrap(), format!("Team {slug}").parse().unwrap());
        let team = directory.create_team(write.clone(), slug, name, Idempotency::never());
        let team = first(team.await.unwrap());
        let members = vec![juergen.1.id, owner.1.id];
        directory
            .set_team_members(write.clone(), team.number, members)
            .await
            .unwrap();
        if team.slug.as_str() == "removed" {
            directory.delete_team(write.clone(), team.number).await.unwrap();
        }
    }
}

/// Gives a member a password and tokens, and returns the digests of these.
async fn credentials(rules: &Rules, organization: OrganizationId, member: &Member) -> Vec<KeyDigest> {
    let hash = PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned());
    let saved = rules.save_password(organization, member.number, hash, CLOCK.now());
    saved.await.unwrap();
    let mut digests = Vec::new();
    for kind in [TokenKind::Session, TokenKind::PasswordLink] {
        let secret = TokenSecret::generate(kind, RANDOM).unwrap();
        let token = secret.stored(member.number, CLOCK.now());
        digests.push(token.digest);
        rules.insert_token(organization, token).await.unwrap();
    }
    let used = rules.record_token_use(organization, digests[0], CLOCK.now());
    used.await.unwrap();
    digests
}

/// Links [`MANY`] people.
async fn link_many(directory: Directory, organization: OrganizationId) {
    let directory = Arc::new(directory);
    let mut linking = JoinSet::new();
    for number in 0..MANY {
        let directory = Arc::clone(&directory);
        linking.spawn(async move {
            let values = named(
                &format!("m{number}@many.example.com"),
                &format!("Mémber {number}"),
            );
            person(&directory, organization, values).await;
        });
        // No more at once than a busy machine links while the last of them waits.
        if number % 50 == 0 {
            while let Some(linked) = linking.join_next().await {
                linked.unwrap();
            }
        }
    }
    linking.join_all().await;
}

/// Fills a new database.
pub(crate) async fn fill(url: &str) -> World {
    let storage = storage::connect(url, Migrate::Always).await.unwrap();
    let directory = Directory::new(storage.clone());
    let mut organizations = Vec::new();
    for slug in ["globex", "acme", "gone", "many"] {
        let (slug, name) = (slug.parse().unwrap(), format!("The {slug} Ä").parse().unwrap());
        let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        organizations.push(first(created.await.unwrap()).id);
    }
    let [globex, acme, gone, many] = organizations[..] else {
        unreachable!()
    };
    let patch = OrganizationPatch {
        default_role: Some(Role::Editor),
        retention_days: Some(Some(30)),
        ..OrganizationPatch::default()
    };
    let updated = directory.update_organization(Admin::OPERATOR, acme, patch);
    updated.await.unwrap();
    let keys = keys(&directory, acme, globex).await;

    let owner = owner(&directory, acme).await;
    let mut people = vec![(acme, owner.clone())];
    for (organization, email, name) in [
        (acme, "jürgen@bücher.example", "Jürgen ÄRGER"),
        (globex, "jürgen@bücher.example", "ΣΊΣΥΦΟΣ 100%_"),
        (acme, "moved@acme.example.com", "Moved"),
        (acme, "revoked@acme.example.com", "Revoked"),
        (acme, "back@acme.example.com", "Back"),
        (acme, "erased@acme.example.com", "Erased"),
        (acme, "dropped@acme.example.com", "Without an address now"),
        (gone, "left@gone.example.com", "Left"),
        (globex, "revoked@acme.example.com", "Revoked elsewhere"),
    ] {
        let member = person(&directory, organization, named(email, name)).await;
        people.push((organization, member));
    }
    people.push((acme, person(&directory, acme, MemberPatch::default()).await));
    for key in ["kept", "shown"] {
        people.push((acme, kept(&directory, acme, keys.caller, key).await));
    }
    change(&directory, acme, &people).await;

    let rules = Rules(storage.clone());
    let tokens = credentials(&rules, acme, &owner).await;
    let seen = rules.record_seen(vec![(acme, owner.id, CLOCK.now())]);
    seen.await.unwrap();
    let used = rules.record_key_use(vec![(None, keys.caller, CLOCK.now())]);
    used.await.unwrap();
    let deleted = directory.delete_organization(Admin::OPERATOR, gone);
    deleted.await.unwrap();
    link_many(directory, many).await;
    storage.close().await;
    World {
        acme,
        organizations,
        people,
        keys: [&keys.old, &keys.current, &keys.revoked, &keys.deployment]
            .map(|text| KeyDigest::of(text))
            .to_vec(),
        key: keys.current,
        old_key: keys.old,
        tokens,
        owner,
    }
}

impl World {
    /// All that the storage says, in an order of its own.
    pub(super) async fn told_by(&self, storage: &dyn Storage) -> Vec<String> {
        let mut told = Vec::new();
        told.push(format!("{:?}", storage.organizations(all()).await.unwrap()));
        let logs = self.organizations.iter().map(|organization| Some(*organization));
        for organization in logs.chain([None]) {
            let everything = EventQuery {
                limit: u32::MAX,
                ..EventQuery::default()
            };
            told.push(format!(
                "{:?}",
                storage.events(organization, everything).await.unwrap()
            ));
            told.push(format!(
                "{:?}",
                storage.api_keys(organization, all()).await.unwrap()
            ));
        }
        let heads = storage.heads(self.organizations.clone()).await.unwrap();
        let mut heads: Vec<_> = heads.into_iter().map(|head| format!("{head:?}")).collect();
        heads.sort();
        told.append(&mut heads);
        for organization in &self.organizations {
            for (order, descending) in [
                (MemberOrder::Number, false),
                (MemberOrder::Name, false),
                (MemberOrder::Email, true),
                (MemberOrder::Role, false),
                (MemberOrder::LastSeen, true),
            ] {
                let query = MemberQuery {
                    order,
                    descending,
                    limit: u32::MAX,
                    ..MemberQuery::default()
                };
                told.push(format!(
                    "{:?}",
                    storage.members_counted(*organization, query).await.unwrap()
                ));
            }
            for text in [
                "ärger",
                "σίσυφος",
                "100%_",
                "ü",
                "moved",
                "moved3",
                "erased",
                "mber 7",
            ] {
                let query = MemberQuery {
                    filter: MemberFilter {
                        text: Some(text.to_owned()),
                        ..MemberFilter::default()
                    },
                    limit: u32::MAX,
                    ..MemberQuery::default()
                };
                told.push(format!(
                    "{text} {:?}",
                    storage.members_counted(*organization, query).await.unwrap()
                ));
            }
            let revoked = storage.revoked_members(*organization, CLOCK.now().into(), all());
            told.push(format!("{:?}", revoked.await.unwrap()));
            told.push(format!(
                "{:?}",
                storage.teams(*organization, all()).await.unwrap()
            ));
            let mails = storage.mails(*organization, None, all());
            told.push(format!("{:?}", mails.await.unwrap()));
        }
        for (organization, member) in &self.people {
            let (id, user) = (MemberRef::Id(member.id), member.user_id);
            told.push(format!("{:?}", storage.member(*organization, &id).await.unwrap()));
            let password = storage.member_and_password(*organization, &id);
            told.push(format!(
                "{:?}",
                password.await.unwrap().map(|(_, hash)| hash.is_some())
            ));
            told.push(format!("{:?}", storage.associations(user, None).await.unwrap()));
            let links = storage.links_of_user(*organization, user, all());
            told.push(format!("{:?}", links.await.unwrap()));
            let addresses = storage.addresses_of_user(*organization, user, all());
            told.push(format!("{:?}", addresses.await.unwrap()));
        }
        for key in &self.keys {
            told.push(format!("{:?}", storage.api_key_by_digest(*key).await.unwrap()));
        }
        for token in &self.tokens {
            let found = storage.token_by_digest(*token).await.unwrap().unwrap();
            told.push(format!("{:?} {:?}", found.token, found.member));
        }
        told.push(format!("{:?}", storage.first_token_end().await.unwrap()));
        told.push(format!("{:?}", storage.oldest_response().await.unwrap()));
        told
    }

    /// Links somebody in a new place by an address, and returns the user.
    pub(super) async fn leads_to(&self, storage: &Arc<dyn Storage>, email: &str) -> UserId {
        let directory = Directory::new(Arc::clone(storage));
        let slug = email.split('@').next().unwrap();
        let slug = slug.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let (slug, name) = (format!("new-{slug}").parse().unwrap(), "New".parse().unwrap());
        let created = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        let organization = first(created.await.unwrap()).id;
        person(&directory, organization, named(email, "Who"))
            .await
            .user_id
    }

    /// One of those linked by hand, by the first address.
    pub(super) fn person(&self, email: &str) -> &Member {
        let has = |member: &Member| {
            member
                .profile
                .email
                .as_ref()
                .is_some_and(|has| has.as_str() == email)
        };
        let found = self.people.iter().find(|(_, member)| has(member));
        &found.unwrap().1
    }
}
