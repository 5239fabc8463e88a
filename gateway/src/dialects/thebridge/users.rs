//! One user: create, get, update, delete, its tenants, and a link to set a password.

use std::time::Duration;

use axum::{http::StatusCode, response::Response};
use uuid::Uuid;

use super::{
    TheBridge,
    input::Input,
    response::{self, Reason, Refusal, too_busy},
    rules::{self, Change},
    teams::{self, TeamKeys},
    user::{self, TenantAssociation, User},
};
use crate::{
    Upstream,
    member_locks::{self, MemberLock},
    proto::directory_v1::{LinkMemberRequest, Member, Role, get_member_request::By},
    upstream::{Key, Resource, UpstreamError},
};

/// What the directory notes as the source of whom this dialect links.
const SOURCE: &str = "thebridge";

/// The longest address and the longest first or last name that the directory has, in characters. A longer one is not sent.
pub(super) const MAX_EMAIL: usize = 320;
pub(super) const MAX_NAME: usize = 127;

pub(super) async fn create(bridge: &TheBridge, key: &Key, input: &Input) -> Result<Response, Refusal> {
    let upstream = &bridge.upstream;
    let link = match rules::create(input).map_err(Refusal::Invalid).and_then(link) {
        Ok(link) => link,
        Err(refusal) => return Err(refuse_change(upstream, key, refusal).await),
    };
    let member = upstream.link_member(key, link).await?;
    shown(upstream, key, StatusCode::CREATED, member).await
}

pub(super) async fn get(bridge: &TheBridge, key: &Key, id: &str) -> Result<Response, Refusal> {
    let upstream = &bridge.upstream;
    let member = find(upstream, key, id).await?;
    shown(upstream, key, StatusCode::OK, member).await
}

pub(super) async fn associations(bridge: &TheBridge, key: &Key, id: &str) -> Result<Response, Refusal> {
    let upstream = &bridge.upstream;
    let member = find(upstream, key, id).await?;
    let found = upstream.associations(key, member.user_id).await?.into_iter();
    let associations: Vec<_> = found.filter_map(TenantAssociation::of).collect();
    Ok(response::json(StatusCode::OK, &associations))
}

pub(super) async fn update(
    bridge: &TheBridge,
    key: &Key,
    id: &str,
    input: &Input,
) -> Result<Response, Refusal> {
    let upstream = &bridge.upstream;
    let change = match rules::update(input) {
        Ok(change) => change,
        Err(messages) => return Err(refuse_change(upstream, key, Refusal::Invalid(messages)).await),
    };
    let (mut member, _lock) = locked(bridge, key, id).await?;
    let role = match check(&change) {
        Ok(role) => role,
        Err(reason) => return Err(refuse_change(upstream, key, reason.into()).await),
    };
    let mut pauses = member_locks::backoff();
    loop {
        let numbers = match &change.teams {
            Some(keys) => Some(teams::numbers(upstream, key, keys).await?),
            None => None,
        };
        let (values, paths) = changed(member, &change, role, numbers);
        if paths.is_empty() {
            upstream.check_write(key).await?;
            return shown(upstream, key, StatusCode::OK, values).await;
        }
        match upstream.update_member(key, values, &paths).await {
            Ok(member) if has_role(&member) => return shown(upstream, key, StatusCode::OK, member).await,
            Ok(_) => return Err(Reason::NoUser.into()),
            // A team may be gone since its number was read.
            Err(UpstreamError::Changed | UpstreamError::NotFound(Resource::Team)) => {
                member = find_again(upstream, key, id, &mut pauses).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) async fn reset_password(bridge: &TheBridge, key: &Key, id: &str) -> Result<Response, Refusal> {
    let upstream = &bridge.upstream;
    let member = find_to_change(upstream, key, id).await?;
    upstream.request_password_reset(key, member.id).await?;
    Ok(response::done())
}

pub(super) async fn delete(bridge: &TheBridge, key: &Key, id: &str) -> Result<Response, Refusal> {
    let upstream = &bridge.upstream;
    let (mut member, _lock) = locked(bridge, key, id).await?;
    let mut pauses = member_locks::backoff();
    loop {
        match upstream.revoke_member(key, member).await {
            Ok(()) => return Ok(response::done()),
            Err(UpstreamError::Changed) => member = find_again(upstream, key, id, &mut pauses).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// What to ask the directory for to have a new user.
fn link(user: rules::NewUser) -> Result<LinkMemberRequest, Refusal> {
    if user.username.trim().is_empty() {
        return Err(Reason::NoUsername.into());
    }
    let role = match &user.role {
        Some(name) => user::role(name).ok_or(Reason::NoSuchRole)?,
        None => Role::Unspecified,
    };
    is_short(&user.username, MAX_EMAIL)?;
    let [given_name, family_name] =
        [user.first_name, user.last_name].map(|name| name.filter(|name| !name.is_empty()));
    for name in [&given_name, &family_name].into_iter().flatten() {
        is_short(name, MAX_NAME)?;
    }
    Ok(LinkMemberRequest {
        source: Some(SOURCE.to_owned()),
        email: Some(user.username),
        role: role.into(),
        staff: true,
        only_without_role: true,
        given_name,
        family_name,
        send_onboarding_mail: !user.mute_notifications,
        ..LinkMemberRequest::default()
    })
}

/// The role to give, if there is one; and that the directory may be asked for the rest.
fn check(change: &Change) -> Result<Option<Role>, Reason> {
    let role = match &change.role {
        Some(name) => Some(user::role(name).ok_or(Reason::NoSuchRole)?),
        None => None,
    };
    for name in [&change.first_name, &change.last_name].into_iter().flatten() {
        is_short(name, MAX_NAME)?;
    }
    if let Some(keys) = &change.teams {
        teams::check(keys)?;
    }
    Ok(role)
}

fn is_short(text: &str, max: usize) -> Result<(), Reason> {
    if text.chars().nth(max).is_none() {
        Ok(())
    } else {
        Err(Reason::Malformed)
    }
}

/// The member with what is given, and which of its fields to change. Without an etag unless it is given a role: somebody
/// who is no user any more gets none.
fn changed(
    mut member: Member,
    change: &Change,
    role: Option<Role>,
    teams: Option<Vec<i64>>,
) -> (Member, Vec<&'static str>) {
    let mut paths = Vec::new();
    match role {
        Some(role) => {
            member.role = role.into();
            paths.push("role");
        }
        None => member.etag.clear(),
    }
    if let Some(enabled) = change.enabled {
        member.enabled = enabled;
        paths.push("enabled");
    }
    if let Some(teams) = teams {
        member.teams = teams;
        paths.push("teams");
    }
    // An empty name is none.
    let name = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
    if let Some(first_name) = &change.first_name {
        member.given_name = name(first_name);
        paths.push("given_name");
    }
    if let Some(last_name) = &change.last_name {
        member.family_name = name(last_name);
        paths.push("family_name");
    }
    if change.onboarded == Some(true) {
        member.onboarded = true;
        paths.push("onboarded");
    }
    (member, paths)
}

/// The live member with this user id who has a role.
async fn find(upstream: &Upstream, key: &Key, id: &str) -> Result<Member, Refusal> {
    let Some(id) = uuid(id) else {
        upstream.check_read(key).await?;
        return Err(Reason::NoUser.into());
    };
    let member = upstream.member(key, By::UserId(id.to_string())).await?;
    if has_role(&member) {
        Ok(member)
    } else {
        Err(Reason::NoUser.into())
    }
}

/// As [`find`]; a key that may not change anything does not learn who is there.
async fn find_to_change(upstream: &Upstream, key: &Key, id: &str) -> Result<Member, Refusal> {
    match find(upstream, key, id).await {
        Ok(member) => Ok(member),
        Err(refusal) => Err(refuse_change(upstream, key, refusal).await),
    }
}

/// The user, and the lock to change it.
async fn locked(bridge: &TheBridge, key: &Key, id: &str) -> Result<(Member, MemberLock), Refusal> {
    let member = find_to_change(&bridge.upstream, key, id).await?;
    let lock = bridge.locks.lock(&member.id).await.ok_or_else(too_busy)?;
    let member = if lock.waited {
        find_to_change(&bridge.upstream, key, id).await?
    } else {
        member
    };
    Ok((member, lock))
}

/// The user as it is after a pause, in which whoever changed it has finished.
async fn find_again(
    upstream: &Upstream,
    key: &Key,
    id: &str,
    pauses: &mut (impl Iterator<Item = Duration> + Send),
) -> Result<Member, Refusal> {
    tokio::time::sleep(pauses.next().ok_or_else(too_busy)?).await;
    find(upstream, key, id).await
}

/// Why a change is refused: first of all because the key may not change anything.
pub(super) async fn refuse_change(upstream: &Upstream, key: &Key, refusal: Refusal) -> Refusal {
    match upstream.check_write(key).await {
        Ok(()) => refusal,
        Err(error) => error.into(),
    }
}

async fn shown(
    upstream: &Upstream,
    key: &Key,
    status: StatusCode,
    member: Member,
) -> Result<Response, Refusal> {
    let teams = TeamKeys::default().of(upstream, key, &member.teams).await?;
    let user = User::of(member, teams).ok_or(UpstreamError::Internal)?;
    Ok(response::json(status, &user))
}

fn has_role(member: &Member) -> bool {
    member.role() != Role::Unspecified
}

/// A UUID as it is usually written, in any letter case.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    const LENGTH: usize = 36;
    Uuid::try_parse(text).ok().filter(|_| text.len() == LENGTH)
}
