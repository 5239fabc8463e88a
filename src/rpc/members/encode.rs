//! Domain values to messages.

use prost::Message as _;

use crate::{
    domain::{Association, AuthMethod, HeldAddress, LinkOutcome, Linked, Member, Page, Role},
    rpc::{
        events,
        page::{List, MAX_BYTES},
        proto::userbridge::directory::v1 as pb,
        time::timestamp,
    },
    service::Exported,
};

pub(in crate::rpc) fn member(member: Member) -> pb::Member {
    let profile = member.profile;
    pb::Member {
        id: member.id.to_string(),
        user_id: member.user_id.to_string(),
        number: member.number.0,
        email: profile.email.map(Into::into),
        name: profile.name.map(Into::into),
        avatar_url: profile.avatar_url.map(Into::into),
        portal_role: profile.portal_role.map(Into::into),
        company_name: profile.company_name.map(Into::into),
        customer_status: profile.customer_status.map(Into::into),
        locale: profile.locale.map(Into::into),
        role: role(member.access.role).into(),
        enabled: member.access.enabled,
        auth_method: auth_method(member.access.auth_method).into(),
        source: member.origin.source.into(),
        external_id: member.origin.external_id.map(Into::into),
        teams: member.teams.iter().map(|team| team.0).collect(),
        primary_team: member.primary_team.0,
        created_at: Some(timestamp(member.created_at)),
        updated_at: Some(timestamp(member.updated_at)),
        last_seen_at: member.last_seen_at.map(timestamp),
        revoked_at: member.revoked_at.map(timestamp),
        erased_at: member.erased_at.map(timestamp),
        etag: member.version.to_string(),
        given_name: member.person.given_name.map(Into::into),
        family_name: member.person.family_name.map(Into::into),
        onboarded: member.access.onboarded,
    }
}

pub(super) fn linked(linked: Linked) -> pb::LinkMemberResponse {
    let outcome = match linked.outcome {
        LinkOutcome::Created => pb::LinkOutcome::Created,
        LinkOutcome::Updated => pb::LinkOutcome::Updated,
        LinkOutcome::Unchanged => pb::LinkOutcome::Found,
    };
    pb::LinkMemberResponse {
        member: Some(member(linked.member)),
        outcome: outcome.into(),
    }
}

/// As many entries of a page as fit into one response.
pub(super) fn exported(page: Page<Exported>, list: &List) -> pb::ExportMemberResponse {
    let mut response = pb::ExportMemberResponse::default();
    let mut left = MAX_BYTES;
    let (mut more, mut reached) = (page.more, None);
    for entry in page.items {
        let place = entry.place();
        let mut next = pb::ExportMemberResponse::default();
        match entry {
            Exported::Link(link) => next.members.push(member(link)),
            Exported::Address(address) => next.addresses.push(held_address(address)),
            Exported::Event(event) => next.events.push(events::event(event)),
        }
        let Some(rest) = left.checked_sub(next.encoded_len()) else {
            more = true;
            break;
        };
        (left, reached) = (rest, Some(place));
        response.members.append(&mut next.members);
        response.addresses.append(&mut next.addresses);
        response.events.append(&mut next.events);
    }
    response.next_page_token = list.next(reached.filter(|_| more));
    response
}

fn held_address(address: HeldAddress) -> pb::HeldAddress {
    pb::HeldAddress {
        member_id: address.member_id.to_string(),
        email: address.email.into(),
        since: Some(timestamp(address.since)),
        until: address.until.map(timestamp),
    }
}

pub(super) fn association(association: Association) -> pb::Association {
    pb::Association {
        organization_id: association.organization.id.to_string(),
        organization_slug: association.organization.slug.into(),
        organization_name: association.organization.name.into(),
        member_id: association.member_id.to_string(),
        role: role(association.role).into(),
    }
}

/// An access role; unspecified for none.
pub(in crate::rpc) const fn role(role: Option<Role>) -> pb::Role {
    match role {
        None => pb::Role::Unspecified,
        Some(Role::Owner) => pb::Role::Owner,
        Some(Role::Admin) => pb::Role::Admin,
        Some(Role::Editor) => pb::Role::Editor,
        Some(Role::Viewer) => pb::Role::Viewer,
        Some(Role::RestrictedViewer) => pb::Role::RestrictedViewer,
    }
}

pub(in crate::rpc) const fn auth_method(method: Option<AuthMethod>) -> pb::AuthMethod {
    match method {
        None => pb::AuthMethod::Unspecified,
        Some(AuthMethod::Password) => pb::AuthMethod::Password,
        Some(AuthMethod::Oidc) => pb::AuthMethod::Oidc,
    }
}
