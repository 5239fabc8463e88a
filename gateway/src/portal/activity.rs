//! The audit trail: what happened in the organization, the last first.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use form_urlencoded::Serializer;
use uuid::Uuid;

use super::{
    PAGE_SIZE, Portal,
    changes::{self, Change},
    form::Fields,
    notice::Notice,
    page,
    people::Teams,
    problem::Problem,
    session::{Frame, Visitor},
};
use crate::proto::directory_v1::ListEventsRequest;

#[derive(Template)]
#[template(path = "portal/activity.html")]
struct ActivityPage {
    frame: Frame,
    notice: Option<Notice>,
    changes: Vec<Change>,
    /// Only of one person.
    narrow: bool,
    is_first: bool,
    older: Option<String>,
}

/// `user` shows one user's alone; `token` goes on from the page before.
pub(super) async fn activity(
    State(portal): State<Portal>,
    uri: Uri,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let fields = Fields::of(&uri);
    let user = match fields.get("user").unwrap_or_default() {
        "" => String::new(),
        id => Uuid::try_parse(id).map_err(|_| Problem::NotFound)?.to_string(),
    };
    let request = ListEventsRequest {
        page_size: PAGE_SIZE,
        page_token: fields.get("token").unwrap_or_default().to_owned(),
        user_id: user.clone(),
        kinds: Vec::new(),
        order_by: "sequence desc".to_owned(),
    };
    let is_first = request.page_token.is_empty();
    let (found, teams) = tokio::try_join!(
        portal.upstream.list_events(&visitor.key, request),
        Teams::load(&portal.upstream, &visitor.key),
    )?;
    let changes = changes::describe(&portal, &visitor, &teams, &found.events).await?;
    let older = (!found.next_page_token.is_empty()).then(|| {
        let mut query = Serializer::new(format!("{}?", uri.path()));
        if !user.is_empty() {
            query.append_pair("user", &user);
        }
        query.append_pair("token", &found.next_page_token).finish()
    });
    let page = ActivityPage {
        frame: visitor.frame(),
        notice: None,
        changes,
        narrow: !user.is_empty(),
        is_first,
        older,
    };
    Ok(page::page(StatusCode::OK, &page))
}
