//! One user: create, retrieve, update, delete.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{StatusCode, request::Parts},
    response::Response,
};

use super::{
    Feedier, bearer,
    input::Input,
    response::{self, Refusal},
    rules::{self, Fields},
    user::User,
};
use crate::{
    Upstream, body,
    member_locks::{self, MemberLock},
    proto::directory_v1::{AuthMethod, LinkMemberRequest, Member, Role, get_member_request::By},
    upstream::{Key, Resource, UpstreamError},
};

/// What the directory notes as the source of whom this dialect links.
const SOURCE: &str = "feedier";

pub(super) async fn create(feedier: &Feedier, request: Request) -> Result<Response, Refusal> {
    let (parts, input) = read(request).await?;
    let (_, key) = bearer(&parts.headers)?;
    let upstream = &feedier.upstream;
    let (fields, mut errors) = rules::create(&input);
    let there = match &fields.email {
        Some(email) => by_email(upstream, &key, email).await?,
        None => None,
    };
    if there.as_ref().is_some_and(has_role) {
        errors.email_taken();
    }
    if let Some(team) = fields.team
        && !upstream.has_team(&key, team).await?
    {
        errors.no_team();
    }
    let Fields {
        email: Some(email),
        role: Some(role),
        auth_method: Some(auth_method),
        name,
        team,
    } = fields
    else {
        upstream.check_write(&key).await?;
        return Err(errors.into());
    };
    if !errors.is_empty() {
        upstream.check_write(&key).await?;
        return Err(errors.into());
    }
    // An end user who is given a role keeps the name.
    let named = there.is_some_and(|member| member.name.is_some());
    let link = LinkMemberRequest {
        source: Some(SOURCE.to_owned()),
        name: name.or_else(|| (!named).then(|| email.clone())),
        email: Some(email),
        role: role.into(),
        auth_method: auth_method.into(),
        primary_team: team,
        only_without_role: true,
        send_onboarding_mail: auth_method != AuthMethod::Oidc,
        ..LinkMemberRequest::default()
    };
    match upstream.link_member(&key, link).await {
        Ok(member) => shown(StatusCode::CREATED, member),
        Err(UpstreamError::AlreadyExists(_)) => {
            errors.email_taken();
            Err(errors.into())
        }
        // It was removed in this moment.
        Err(UpstreamError::NotFound(Resource::Team)) => {
            errors.no_team();
            Err(errors.into())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn retrieve(feedier: &Feedier, request: Request, id: String) -> Result<Response, Refusal> {
    let (_, key) = bearer(request.headers())?;
    shown(StatusCode::OK, find(&feedier.upstream, &key, &id).await?)
}

pub(super) async fn update(feedier: &Feedier, request: Request, id: String) -> Result<Response, Refusal> {
    let (parts, input) = read(request).await?;
    let (_, key) = bearer(&parts.headers)?;
    let upstream = &feedier.upstream;
    let (mut member, _lock) = locked(feedier, &key, &id).await?;
    let mut pauses = member_locks::backoff();
    loop {
        let (fields, mut errors) = rules::update(&input);
        if !errors.is_empty() {
            upstream.check_write(&key).await?;
            if let Some(email) = &fields.email
                && by_email(upstream, &key, email)
                    .await?
                    .is_some_and(|other| other.id != member.id)
            {
                errors.email_taken();
            }
            return Err(errors.into());
        }
        let (values, paths) = changed(member, fields);
        if paths.is_empty() {
            upstream.check_write(&key).await?;
            return shown(StatusCode::OK, values);
        }
        match upstream.update_member(&key, values, &paths).await {
            Ok(member) if !has_role(&member) => return Err(Refusal::NoUser(id)),
            Ok(member) => return shown(StatusCode::OK, member),
            Err(UpstreamError::Changed) => member = find_again(upstream, &key, &id, &mut pauses).await?,
            Err(UpstreamError::AlreadyExists(_)) => {
                errors.email_taken();
                return Err(errors.into());
            }
            Err(UpstreamError::NotFound(Resource::Member)) => return Err(Refusal::NoUser(id)),
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) async fn delete(feedier: &Feedier, request: Request, id: String) -> Result<Response, Refusal> {
    let (_, key) = bearer(request.headers())?;
    let upstream = &feedier.upstream;
    let (mut member, _lock) = locked(feedier, &key, &id).await?;
    let mut pauses = member_locks::backoff();
    loop {
        match upstream.revoke_member(&key, member).await {
            Ok(()) => return Ok(response::no_content()),
            Err(UpstreamError::Changed) => member = find_again(upstream, &key, &id, &mut pauses).await?,
            Err(UpstreamError::NotFound(Resource::Member)) => return Err(Refusal::NoUser(id)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The user, and the lock to change it.
async fn locked(feedier: &Feedier, key: &Key, id: &str) -> Result<(Member, MemberLock), Refusal> {
    let member = find(&feedier.upstream, key, id).await?;
    let lock = feedier.locks.lock(&member.id).await.ok_or_else(too_busy)?;
    let member = if lock.waited {
        find(&feedier.upstream, key, id).await?
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

async fn read(request: Request) -> Result<(Parts, Input), Refusal> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, body::MAX_BODY).await?;
    let input = Input::of_request(&parts, bytes).await;
    Ok((parts, input))
}

/// The live member with this number who has a role.
async fn find(upstream: &Upstream, key: &Key, id: &str) -> Result<Member, Refusal> {
    let number = rules::decimal(id).filter(|number| *number > 0 && !id.starts_with('+'));
    let Some(number) = number else {
        upstream.check_read(key).await?;
        return Err(Refusal::NoUser(id.to_owned()));
    };
    match upstream.member(key, By::Number(number)).await {
        Ok(member) if has_role(&member) => Ok(member),
        Ok(_) | Err(UpstreamError::NotFound(Resource::Member)) => Err(Refusal::NoUser(id.to_owned())),
        Err(error) => Err(error.into()),
    }
}

async fn by_email(upstream: &Upstream, key: &Key, email: &str) -> Result<Option<Member>, UpstreamError> {
    match upstream.member(key, By::Email(email.to_owned())).await {
        Ok(member) => Ok(Some(member)),
        Err(UpstreamError::NotFound(Resource::Member)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn has_role(member: &Member) -> bool {
    member.role() != Role::Unspecified
}

/// The member with the fields that were given, and which of them to change. Without an etag unless what is to be changed
/// depends on what the member was.
fn changed(mut member: Member, fields: Fields) -> (Member, Vec<&'static str>) {
    let mut paths = Vec::new();
    if let Some(email) = fields.email {
        member.email = Some(email);
        paths.push("email");
    }
    if let Some(name) = fields.name {
        member.name = Some(name);
        paths.push("name");
    }
    match fields.role {
        // An owner reads as an admin, so a client that writes back what it read leaves the owner an owner.
        Some(Role::Admin) if member.role() == Role::Owner => {}
        Some(role) => {
            member.role = role.into();
            paths.push("role");
        }
        None => member.etag.clear(),
    }
    if let Some(auth_method) = fields.auth_method {
        member.auth_method = auth_method.into();
        paths.push("auth_method");
    }
    (member, paths)
}

fn shown(status: StatusCode, member: Member) -> Result<Response, Refusal> {
    match User::of(member) {
        Some(user) => Ok(response::json(status, &user)),
        None => Err(UpstreamError::Internal.into()),
    }
}

/// Others changed the user each time it was to be changed, or for too long.
const fn too_busy() -> Refusal {
    Refusal::Failed(UpstreamError::Unavailable(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_role_is_done_to_the_member_that_was_read() {
        let owner = Member {
            role: Role::Owner.into(),
            etag: "7".to_owned(),
            ..Member::default()
        };
        let name = || Some("Sally".to_owned());
        let (kept, paths) = changed(
            owner.clone(),
            Fields {
                name: name(),
                role: Some(Role::Admin),
                ..Fields::default()
            },
        );
        assert_eq!(
            (kept.role(), &*kept.etag, paths),
            (Role::Owner, "7", vec!["name"])
        );
        let (renamed, paths) = changed(
            owner,
            Fields {
                name: name(),
                ..Fields::default()
            },
        );
        assert_eq!((&*renamed.etag, paths), ("", vec!["name"]));
    }
}
