//! A script of everything that can be done with a directory, the same whenever it runs: ids, secrets and times depend on
//! the step and on nothing else.

use crate::support::rules::Rules;
use std::{pin::Pin, time::Duration};

use futures_util::future::join_all;
use userbridge::{
    domain::{
        Actor, AuthMethod, Change, EventQuery, Idempotency, Idempotent, LinkRequest, MemberFilter,
        MemberLookup, MemberOrder, MemberPatch, MemberQuery, MemberRef, OrganizationPatch, PageRequest, Role,
        Scope, TeamNumber, Timestamp,
    },
    service::{Admin, Expiry, ServiceError},
};

use super::world::{Part, World, one};

const BEGIN: i64 = 1_775_030_400_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

type Parts<'w> = Pin<Box<dyn Future<Output = Vec<Part>> + 'w>>;

/// One thing to do, or several at once.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// No other step has this time.
    pub(super) at: Timestamp,
    run: for<'w> fn(&'w World) -> Parts<'w>,
}

impl Step {
    /// Does it, without the `skipped` of those of its parts that change something at once.
    pub(super) async fn run(&self, world: &World, skipped: &[usize]) -> Vec<Part> {
        world.begin(self.at, skipped);
        (self.run)(world).await
    }

    /// Whether it changes several things at once, of which some can be skipped.
    pub(super) fn has_parts(&self) -> bool {
        self.name.ends_with(" at once")
    }
}

/// One after the other.
fn several<const N: usize>(parts: [Vec<Part>; N]) -> Vec<Part> {
    let parts = parts.into_iter().flatten().enumerate();
    parts.map(|(index, part)| Part { index, ..part }).collect()
}

fn staff(role: Role) -> MemberPatch {
    MemberPatch {
        role: Some(Some(role)),
        auth_method: Some(Some(AuthMethod::Password)),
        ..MemberPatch::default()
    }
}

fn all(filter: MemberFilter, order: MemberOrder) -> MemberQuery {
    MemberQuery {
        filter,
        order,
        limit: 100,
        ..MemberQuery::default()
    }
}

/// Everything, in an order in which each step finds what it is about.
pub(super) fn script() -> Vec<Step> {
    let mut steps = [organizations(), people(), endings(), reads()].concat();
    let later = steps.len();
    steps.extend(afterwards());
    let at = |index: usize| {
        let minutes = i64::try_from(index).unwrap() * MINUTE;
        let days = if index < later { 0 } else { 3 * DAY };
        Timestamp::from_millis(BEGIN + minutes + days)
    };
    steps
        .into_iter()
        .enumerate()
        .map(|(index, (name, run))| Step {
            name,
            at: at(index),
            run,
        })
        .collect()
}

type Named = (&'static str, for<'w> fn(&'w World) -> Parts<'w>);

/// Organizations, keys and a team.
fn organizations() -> Vec<Named> {
    vec![
        ("create acme", |w| Box::pin(w.new_organization("acme"))),
        ("create globex", |w| Box::pin(w.new_organization("globex"))),
        ("acme keeps for a day", |w| {
            Box::pin(async move {
                let patch = OrganizationPatch {
                    name: Some("Acme, Inc.".parse().unwrap()),
                    retention_days: Some(Some(1)),
                    ..OrganizationPatch::default()
                };
                let acme = w.organization("acme");
                one(w
                    .directory
                    .update_organization(Admin::OPERATOR, acme, patch)
                    .await)
            })
        }),
        ("a public key of acme", |w| {
            Box::pin(w.new_key("public", Some("acme"), &[Scope::PublicApi]))
        }),
        ("a public key of globex", |w| {
            Box::pin(w.new_key("globex", Some("globex"), &[Scope::PublicApi]))
        }),
        ("a key to write with", |w| {
            Box::pin(w.new_key("writer", Some("acme"), &[Scope::DirectoryWrite]))
        }),
        ("a key of the deployment", |w| {
            Box::pin(w.new_key("admin", None, &[Scope::Admin]))
        }),
        ("rotate a key", |w| {
            Box::pin(async move {
                let (grant, acme) = (Admin::OPERATOR, Some(w.organization("acme")));
                let old = w.key("public").0;
                let rotated = w
                    .directory
                    .rotate_api_key(
                        grant,
                        acme,
                        old,
                        Duration::from_hours(1),
                        Expiry::Kept,
                        Idempotency::never(),
                    )
                    .await;
                if let Ok(Idempotent::Fresh(made)) = &rotated {
                    w.name_key("rotated", made);
                }
                one(rotated)
            })
        }),
        ("a team", |w| {
            Box::pin(async move {
                let (key, name) = ("north".parse().unwrap(), "North".parse().unwrap());
                let once = w.repeatable("team");
                one(w.directory.create_team(w.write("acme"), key, name, once).await)
            })
        }),
        ("the same team once more", |w| {
            Box::pin(async move {
                let (key, name) = ("north".parse().unwrap(), "North".parse().unwrap());
                let once = w.repeatable("team");
                one(w.directory.create_team(w.write("acme"), key, name, once).await)
            })
        }),
    ]
}

/// People who come and change.
fn people() -> Vec<Named> {
    vec![
        ("link ann, an owner", |w| {
            Box::pin(w.link("ann", "acme", staff(Role::Owner), Idempotency::never()))
        }),
        ("link bob", |w| {
            Box::pin(w.link("bob", "acme", MemberPatch::default(), w.repeatable("bob")))
        }),
        ("link bob once more", |w| {
            Box::pin(w.link("bob", "acme", MemberPatch::default(), w.repeatable("bob")))
        }),
        ("link ann elsewhere", |w| {
            Box::pin(async move {
                let link = LinkRequest {
                    values: MemberPatch {
                        email: Some(Some("ann@example.com".parse().unwrap())),
                        ..MemberPatch::default()
                    },
                    ..LinkRequest::default()
                };
                let grant = w.write("globex");
                one(w.directory.link_member(grant, link, Idempotency::never()).await)
            })
        }),
        ("link four at once", |w| {
            Box::pin(w.many("acme", ["carl", "dora", "eve", "fred"]))
        }),
        ("link four elsewhere at once", |w| {
            Box::pin(w.many("globex", ["gail", "hans", "ida", "joe"]))
        }),
        ("change bob", |w| {
            Box::pin(async move {
                let patch = MemberPatch {
                    email: Some(Some("robert@example.com".parse().unwrap())),
                    name: Some(Some("Robert".parse().unwrap())),
                    teams: Some(vec![TeamNumber(2)]),
                    ..MemberPatch::default()
                };
                let (grant, bob) = (w.write("acme"), w.member("bob"));
                one(w.directory.update_member(grant, bob, patch, None).await)
            })
        }),
        ("change another version of bob", |w| {
            Box::pin(async move {
                let (grant, bob) = (w.write("acme"), w.member("bob"));
                let changed = w
                    .directory
                    .update_member(grant, bob, staff(Role::Viewer), Some(77));
                one(changed.await)
            })
        }),
        ("who is in the team", |w| {
            Box::pin(async move {
                let members = ["ann", "carl", "dora"].map(|name| w.member(name)).to_vec();
                let set = w
                    .directory
                    .set_team_members(w.write("acme"), TeamNumber(2), members);
                one(set.await)
            })
        }),
        ("rename the team", |w| {
            Box::pin(async move {
                let name = "The north".parse().unwrap();
                one(w
                    .directory
                    .rename_team(w.write("acme"), TeamNumber(2), name)
                    .await)
            })
        }),
        ("seen", |w| {
            Box::pin(async move {
                let seen = vec![(w.organization("acme"), w.member("ann"), w.directory.now())];
                one(Rules(w.storage.clone())
                    .record_seen(seen)
                    .await
                    .map_err(ServiceError::from))
            })
        }),
        ("a key used", |w| {
            Box::pin(async move {
                let uses = vec![(Some(w.organization("acme")), w.key("writer").0, w.directory.now())];
                one(Rules(w.storage.clone())
                    .record_key_use(uses)
                    .await
                    .map_err(ServiceError::from))
            })
        }),
    ]
}

/// People who go.
fn endings() -> Vec<Named> {
    vec![
        ("revoke carl", |w| {
            Box::pin(async move {
                let (grant, carl) = (w.write("acme"), w.member("carl"));
                one(w.directory.revoke_member(grant, carl, None).await)
            })
        }),
        ("restore carl", |w| {
            Box::pin(async move {
                let (grant, carl) = (w.write("acme"), w.member("carl"));
                one(w.directory.restore_member(grant, carl).await)
            })
        }),
        ("the last owner stays", |w| {
            Box::pin(async move {
                let (grant, ann) = (w.write("acme"), w.member("ann"));
                one(w.directory.revoke_member(grant, ann, None).await)
            })
        }),
        ("erase eve", |w| {
            Box::pin(async move {
                let (grant, eve) = (w.write("acme"), w.member("eve"));
                one(w.directory.erase_member(grant, eve).await)
            })
        }),
        ("delete some at once", |w| Box::pin(delete_some(w))),
        ("a delete with a key", |w| {
            Box::pin(async move {
                one(w
                    .directory
                    .delete_user(w.key("globex").1, w.user("ida"), None)
                    .await)
            })
        }),
    ]
}

/// What is read, and what goes then.
fn reads() -> Vec<Named> {
    vec![
        ("find joe by his address", |w| {
            Box::pin(async move {
                let lookup = MemberLookup::Email("joe@example.com".to_owned());
                one(w.directory.retrieve_user(w.key("globex").1, lookup).await)
            })
        }),
        ("find hans, who is gone", |w| {
            Box::pin(async move {
                let lookup = MemberLookup::UserId(w.user("hans"));
                one(w.directory.retrieve_user(w.key("globex").1, lookup).await)
            })
        }),
        ("list", |w| {
            Box::pin(async move {
                let query = all(MemberFilter::default(), MemberOrder::Name);
                one(w.directory.members_counted(w.read("acme"), query).await)
            })
        }),
        ("search", |w| {
            Box::pin(async move {
                let filter = MemberFilter {
                    name_parts: vec!["ACM".to_owned(), "rede".to_owned()],
                    ..MemberFilter::default()
                };
                one(w
                    .directory
                    .members(w.read("acme"), all(filter, MemberOrder::Number))
                    .await)
            })
        }),
        ("find carl, by id and by address", |w| {
            Box::pin(async move {
                let by_id = w
                    .directory
                    .member(w.read("acme"), MemberRef::Id(w.member("carl")), true)
                    .await;
                let email = MemberRef::Email("carl@example.com".parse().unwrap());
                let by_email = w.directory.member(w.read("acme"), email, false).await;
                several([one(by_id), one(by_email)])
            })
        }),
        ("some by id", |w| {
            Box::pin(async move {
                let ids = vec![w.member("eve"), w.member("joe"), w.member("ann")];
                one(w.directory.members_by_id(w.read("acme"), ids, true).await)
            })
        }),
        ("where ann is", |w| {
            Box::pin(async move { one(w.where_is("writer", "ann").await) })
        }),
        ("what was done", |w| {
            Box::pin(async move {
                let query = EventQuery {
                    limit: 1000,
                    ..EventQuery::default()
                };
                one(w.directory.events(w.read("acme"), query).await)
            })
        }),
        ("organizations, teams and keys", |w| {
            Box::pin(async move {
                fn page<K>() -> PageRequest<K> {
                    PageRequest {
                        after: None,
                        limit: 100,
                    }
                }
                let acme = w.organization("acme");
                several([
                    one(w.directory.organizations(Admin::OPERATOR, page()).await),
                    one(w.directory.teams(w.read("acme"), page()).await),
                    one(w.directory.api_keys(Admin::OPERATOR, Some(acme), page()).await),
                ])
            })
        }),
        ("delete the team", |w| {
            Box::pin(async move { one(w.directory.delete_team(w.write("acme"), TeamNumber(2)).await) })
        }),
        ("revoke a key", |w| {
            Box::pin(async move {
                let (acme, writer) = (w.organization("acme"), w.key("writer").0);
                one(w
                    .directory
                    .revoke_api_key(Admin::OPERATOR, Some(acme), writer)
                    .await)
            })
        }),
    ]
}

/// In one batch, one of them twice, and together with the change of another.
async fn delete_some(w: &World) -> Vec<Part> {
    let of = [
        ("acme", "rotated", "dora"),
        ("globex", "globex", "gail"),
        ("acme", "rotated", "dora"),
        ("globex", "globex", "ann"),
        ("globex", "globex", "hans"),
    ];
    let last = of.len();
    let deletes = of.into_iter().enumerate().filter(|(part, _)| !w.skips(*part));
    let deletes = deletes.map(|(index, (organization, key, name))| async move {
        let (organization, user) = (w.organization(organization), w.user(name));
        let change = Change {
            actor: Actor::ApiKey(w.key(key).0),
            at: w.directory.now(),
            client: None,
            source: None,
        };
        let revoked = w.storage.revoke_user(organization, user, change).await;
        Part {
            index,
            user: Some(user),
            outcome: revoked
                .map(|revoked| revoked.to_string())
                .map_err(ServiceError::from),
        }
    });
    let rename = async {
        let patch = MemberPatch {
            name: Some(Some("Frederick".parse().unwrap())),
            ..MemberPatch::default()
        };
        if w.skips(last) {
            return None;
        }
        let (grant, fred) = (w.write("acme"), w.member("fred"));
        let part = one(w.directory.update_member(grant, fred, patch, None).await).pop();
        part.map(|part| Part {
            index: last,
            user: Some(w.user("fred")),
            ..part
        })
    };
    let (mut parts, renamed) = tokio::join!(join_all(deletes), rename);
    parts.extend(renamed);
    parts
}

/// What comes some days later.
fn afterwards() -> Vec<Named> {
    vec![
        ("erase who is due", |w| {
            Box::pin(async move { one(w.directory.erase_due().await) })
        }),
        ("forget old answers", |w| {
            Box::pin(async move { one(w.directory.remove_old_responses().await) })
        }),
        ("compact", |w| {
            Box::pin(async move { one(w.storage.compact().await.map_err(ServiceError::from)) })
        }),
        ("delete globex", |w| {
            Box::pin(async move {
                let globex = w.organization("globex");
                one(w.directory.delete_organization(Admin::OPERATOR, globex).await)
            })
        }),
        ("link zoe", |w| {
            Box::pin(w.link("zoe", "acme", MemberPatch::default(), Idempotency::never()))
        }),
        ("find zoe", |w| {
            Box::pin(async move {
                let lookup = MemberLookup::Email("zoe@example.com".to_owned());
                one(w.directory.retrieve_user(w.key("rotated").1, lookup).await)
            })
        }),
        ("list once more", |w| {
            Box::pin(async move {
                let query = all(MemberFilter::default(), MemberOrder::Number);
                one(w.directory.members(w.read("acme"), query).await)
            })
        }),
    ]
}
