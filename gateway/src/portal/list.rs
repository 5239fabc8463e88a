//! The people of the organization, who can be searched, sorted and turned over page by page; and those who were removed.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{Method, StatusCode},
    response::Response,
};
use prost_types::Timestamp;
use uuid::Uuid;

use super::{
    PAGE_SIZE, Portal,
    form::Fields,
    list_query::{ListQuery, Place, Show, Sort},
    notice::Notice,
    page,
    people::{Person, Teams},
    problem::Problem,
    session::{self, Frame, Visitor},
    words,
};
use crate::proto::directory_v1::{ListMembersRequest, ListMembersResponse};

/// Those who were removed longer ago are not shown, though some may still be restored.
const REMOVED_SINCE: Duration = Duration::from_hours(30 * 24);

/// The head of a column.
struct Column {
    text: &'static str,
    href: String,
    /// For `aria-sort`.
    sorted: &'static str,
}

struct Choice {
    value: &'static str,
    text: &'static str,
    chosen: bool,
}

/// Somebody who was removed just now.
struct Undo {
    id: String,
    label: String,
}

#[derive(Template)]
#[template(path = "portal/list.html")]
struct ListPage {
    frame: Frame,
    notice: Option<Notice>,
    undo: Option<Undo>,
    query: ListQuery,
    columns: Vec<Column>,
    sorts: Vec<Choice>,
    shows: Vec<Choice>,
    people: Vec<Person>,
    total: i64,
    total_text: String,
    /// Numbers of the first and last row.
    first: String,
    last: String,
    previous: Option<String>,
    next: Option<String>,
    removed: bool,
}

pub(super) async fn list(State(portal): State<Portal>, request: Request) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    let fields = Fields::of(&request.uri);
    if let Some(code) = fields.get("code") {
        if request.method == Method::HEAD {
            return Ok(page::nothing());
        }
        return session::sign_in(&portal, &request, code).await;
    }
    let visitor = Visitor::of(&portal, &request).await?;
    let query = ListQuery::of(&fields);
    let removed = query.show == Show::Removed;
    let place = query.place.clone().unwrap_or_else(|| first_of_removed(&visitor));
    let request = if removed {
        removed_request(place.clone())
    } else {
        query.request()
    };
    let (found, teams) = tokio::try_join!(
        portal.upstream.list_members(&visitor.key, request),
        Teams::load(&portal.upstream, &visitor.key),
    )?;
    let total = found.total.unwrap_or_default();
    if !removed && found.members.is_empty() && query.page > 1 {
        // People have gone since: to the last page that there is now.
        let pages = last_page(total);
        if pages < query.page {
            return Ok(page::see_other(&query.at_page(pages).href()));
        }
    }
    let undo = undo(&portal, &visitor, &fields).await?;
    let page = ListPage {
        frame: visitor.frame(),
        notice: Notice::of(&fields).filter(|_| undo.is_none()),
        undo,
        columns: Sort::ALL.map(|sort| column(&query, sort)).into(),
        sorts: sorts(&query),
        shows: shows(&query),
        previous: (query.page > 1).then(|| query.at_page(query.page - 1).href()),
        next: next(&query, &found, place.since),
        total,
        total_text: words::number(total),
        first: words::number(query.skip() + 1),
        last: words::number((query.skip() + i64::from(PAGE_SIZE)).min(total)),
        people: found
            .members
            .iter()
            .map(|member| Person::new(member, &teams, &visitor))
            .collect(),
        removed,
        query,
    };
    Ok(page::page(StatusCode::OK, &page))
}

const fn last_page(total: i64) -> i64 {
    let pages = (total + PAGE_SIZE as i64 - 1) / PAGE_SIZE as i64;
    if pages < 1 { 1 } else { pages }
}

fn next(query: &ListQuery, found: &ListMembersResponse, since: i64) -> Option<String> {
    if query.show == Show::Removed {
        let token = found.next_page_token.clone();
        return (!token.is_empty()).then(|| query.at_place(Place { since, token }).href());
    }
    (query.page < last_page(found.total.unwrap_or_default())).then(|| query.at_page(query.page + 1).href())
}

fn column(query: &ListQuery, sort: Sort) -> Column {
    Column {
        text: sort.text(),
        href: query.sorted(sort).href(),
        sorted: match (query.sort == sort, query.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        },
    }
}

fn sorts(query: &ListQuery) -> Vec<Choice> {
    Sort::ALL
        .map(|sort| Choice {
            value: sort.field(),
            text: sort.text(),
            chosen: sort == query.sort,
        })
        .into()
}

fn shows(query: &ListQuery) -> Vec<Choice> {
    Show::ALL
        .map(|show| Choice {
            value: show.value(),
            text: show.text(),
            chosen: show == query.show,
        })
        .into()
}

/// Staff who were removed and can be restored.
fn first_of_removed(visitor: &Visitor) -> Place {
    let retention = visitor
        .session
        .retention_days
        .and_then(|days| u64::try_from(days).ok());
    let retention = retention.map(|days| Duration::from_hours(24 * days));
    let since = REMOVED_SINCE.min(retention.unwrap_or(REMOVED_SINCE));
    let from = now() - jiff::SignedDuration::try_from(since).unwrap_or_default();
    Place {
        since: from.as_second(),
        token: String::new(),
    }
}

fn removed_request(place: Place) -> ListMembersRequest {
    ListMembersRequest {
        page_size: PAGE_SIZE,
        page_token: place.token,
        roles: words::ROLES.map(Into::into).to_vec(),
        revoked_from: Some(Timestamp {
            seconds: place.since,
            nanos: 0,
        }),
        ..ListMembersRequest::default()
    }
}

/// Whom the visitor has removed just now.
async fn undo(portal: &Portal, visitor: &Visitor, fields: &Fields) -> Result<Option<Undo>, Problem> {
    if Notice::of(fields) != Some(Notice::Removed) {
        return Ok(None);
    }
    let Some(id) = fields.get("member").and_then(|id| Uuid::try_parse(id).ok()) else {
        return Ok(None);
    };
    match portal.upstream.any_member(&visitor.key, id.to_string()).await {
        Ok(member) if member.revoked_at.is_some() => Ok(Some(Undo {
            label: words::label(&member),
            id: member.id,
        })),
        Ok(_) | Err(crate::upstream::UpstreamError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only what is shown depends on it, and tests do not remove anybody a month ago"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
