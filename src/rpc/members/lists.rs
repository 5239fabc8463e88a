//! `ListMembers`: those who are live, or those who were revoked.

use std::mem;

use tonic::{Response, Status};

use super::{
    decode::{role, team},
    encode::member,
};
use crate::{
    domain::{
        Cursor, DisplayName, Email, Member, MemberFilter, MemberNumber, MemberOrder, MemberQuery,
        PageRequest, RevokedFilter, Role, SortValue, Source, TimeRange, Timestamp,
    },
    rpc::{
        Reply,
        page::{self, List},
        proto::userbridge::directory::v1 as pb,
        time::bound,
        violations::Violations,
    },
    service::{Directory, Read},
};

/// Most parts of one filter.
const MAX_PARTS: usize = 100;

pub(super) async fn list_members(
    directory: &Directory,
    grant: Read,
    mut request: pb::ListMembersRequest,
) -> Reply<pb::ListMembersResponse> {
    let with_total = mem::take(&mut request.with_total);
    let skip = mem::take(&mut request.skip);
    let list = List::of("ListMembers", Some(grant.organization()), &mut request);
    if request.revoked_from.is_some() {
        let (filter, page) = revoked_query(&request, with_total, skip, &list)?;
        let page = directory.revoked_members(grant, filter, page).await?;
        let key = |member: &Member| (member.revoked_at.map(Timestamp::as_millis), member.number.0);
        return Ok(response(page.items, page.more, None, &list, key));
    }
    let query = live_query(request, skip, &list)?;
    let order = query.order;
    let page = if with_total {
        directory.members_counted(grant, query).await?
    } else {
        directory.members(grant, query).await?
    };
    let more = page.next.is_some();
    Ok(response(page.members, more, page.total, &list, |member| {
        (member.number.0, order.value(member))
    }))
}

/// The members who fit. The next page begins after the last of them, by its key.
fn response<K: serde::Serialize>(
    members: Vec<Member>,
    more: bool,
    total: Option<u64>,
    list: &List,
    key: impl Fn(&Member) -> K,
) -> Response<pb::ListMembersResponse> {
    let keys: Vec<_> = members.iter().map(key).collect();
    let mut members: Vec<_> = members.into_iter().map(member).collect();
    let fitting = page::fitting(&members);
    let more = more || fitting < members.len();
    members.truncate(fitting);
    let end = members.len().checked_sub(1).filter(|_| more);
    Response::new(pb::ListMembersResponse {
        next_page_token: list.next(end.and_then(|end| keys.get(end))),
        members,
        total: total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
    })
}

/// # Errors
///
/// `INVALID_ARGUMENT` with every violation; one for each field that is set and must not be.
fn revoked_query(
    request: &pb::ListMembersRequest,
    with_total: bool,
    skip: i64,
    list: &List,
) -> Result<(RevokedFilter, PageRequest<(Timestamp, MemberNumber)>), Status> {
    let mut violations = Violations::default();
    let page = list.page::<(i64, i64)>(&mut violations);
    let from = violations.optional("revoked_from", request.revoked_from, bound);
    let roles = roles(&mut violations, &request.roles);
    for (field, is_set) in [
        ("team", request.team.is_some()),
        ("enabled", request.enabled.is_some()),
        ("source", request.source.is_some()),
        ("email_parts", !request.email_parts.is_empty()),
        ("name_parts", !request.name_parts.is_empty()),
        ("created_from", request.created_from.is_some()),
        ("created_until", request.created_until.is_some()),
        ("seen_from", request.seen_from.is_some()),
        ("seen_until", request.seen_until.is_some()),
        ("order_by", !request.order_by.is_empty()),
        ("with_total", with_total),
        ("skip", skip != 0),
        ("end_user", request.end_user.is_some()),
        ("text", request.text.is_some()),
    ] {
        if is_set {
            violations.add(field, "must not be set with revoked_from");
        }
    }
    let page = PageRequest {
        after: page
            .after
            .map(|(at, number)| (Timestamp::from_millis(at), MemberNumber(number))),
        limit: page.limit,
    };
    violations.finish(from.map(|from| (RevokedFilter { from, roles }, page)))
}

/// # Errors
///
/// `INVALID_ARGUMENT` with every violation.
fn live_query(request: pb::ListMembersRequest, skip: i64, list: &List) -> Result<MemberQuery, Status> {
    let mut violations = Violations::default();
    let page = list.page::<(i64, Option<SortValue>)>(&mut violations);
    let skip = violations.check("skip", u64::try_from(skip).map_err(|_| "must not be less than 0"));
    let roles = roles(&mut violations, &request.roles);
    let (order, descending) = order(&mut violations, &request.order_by).unwrap_or_default();
    let filter = MemberFilter {
        roles,
        end_user: request.end_user,
        team: request
            .team
            .and_then(|number| team(&mut violations, "team", number)),
        enabled: request.enabled,
        source: violations.optional("source", request.source, Source::new),
        email_parts: parts(
            &mut violations,
            "email_parts",
            request.email_parts,
            Email::MAX_CHARS,
        ),
        name_parts: parts(
            &mut violations,
            "name_parts",
            request.name_parts,
            DisplayName::MAX_CHARS,
        ),
        text: violations.optional("text", request.text, |text| {
            part(&text, Email::MAX_CHARS).map(|()| text)
        }),
        created: TimeRange {
            from: violations.optional("created_from", request.created_from, bound),
            until: violations.optional("created_until", request.created_until, bound),
        },
        seen: TimeRange {
            from: violations.optional("seen_from", request.seen_from, bound),
            until: violations.optional("seen_until", request.seen_until, bound),
        },
    };
    let after = page.after.map(|(number, value)| Cursor {
        number: MemberNumber(number),
        value,
    });
    violations.finish(Some(MemberQuery {
        filter,
        order,
        descending,
        after,
        skip: skip.unwrap_or_default(),
        limit: page.limit,
    }))
}

fn roles(violations: &mut Violations, numbers: &[i32]) -> Vec<Option<Role>> {
    let most = Role::ALL.len() + 1;
    if numbers.len() > most {
        violations.add("roles", format_args!("must be at most {most}"));
    }
    let numbers = numbers.iter().enumerate();
    numbers
        .map(|(index, number)| role(violations, &format!("roles[{index}]"), *number))
        .collect()
}

/// The order and whether it is the other way round; None and a violation if there is none of this name.
fn order(violations: &mut Violations, order_by: &str) -> Option<(MemberOrder, bool)> {
    let (name, descending) = match order_by.strip_suffix(" desc") {
        Some(name) => (name, true),
        None => (order_by, false),
    };
    let order = match name {
        "" if !descending => Ok(MemberOrder::Number),
        "created_at" => Ok(MemberOrder::Number),
        "name" => Ok(MemberOrder::Name),
        "email" => Ok(MemberOrder::Email),
        "role" => Ok(MemberOrder::Role),
        "last_seen_at" => Ok(MemberOrder::LastSeen),
        _ => Err("must be created_at, name, email, role or last_seen_at, each optionally with ` desc`"),
    };
    Some((violations.check("order_by", order)?, descending))
}

fn parts(violations: &mut Violations, field: &str, parts: Vec<String>, max: usize) -> Vec<String> {
    if parts.len() > MAX_PARTS {
        violations.add(field, format_args!("must be at most {MAX_PARTS}"));
        return Vec::new();
    }
    for (index, text) in parts.iter().enumerate() {
        violations.check(&format!("{field}[{index}]"), part(text, max));
    }
    parts
}

/// That a part may be looked for.
fn part(text: &str, max: usize) -> Result<(), String> {
    if text.is_empty() || text.chars().nth(max).is_some() {
        return Err(format!("must be 1 to {max} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not have control characters".to_owned());
    }
    Ok(())
}
