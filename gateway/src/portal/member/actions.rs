//! What a button does at once.

use axum::{extract::State, response::Response};

use super::{Id, etag, parse_id, path, refused, render};
use crate::{
    portal::{Portal, form::Submitted, notice::Notice, problem::Problem},
    proto::directory_v1::Member,
    upstream::UpstreamError,
};

pub(in crate::portal) async fn enable(
    State(portal): State<Portal>,
    Id(id): Id,
    sent: Submitted,
) -> Result<Response, Problem> {
    set_enabled(&portal, &id, &sent, true).await
}

pub(in crate::portal) async fn disable(
    State(portal): State<Portal>,
    Id(id): Id,
    sent: Submitted,
) -> Result<Response, Problem> {
    set_enabled(&portal, &id, &sent, false).await
}

async fn set_enabled(
    portal: &Portal,
    id: &str,
    sent: &Submitted,
    enabled: bool,
) -> Result<Response, Problem> {
    let id = parse_id(id)?;
    let member = Member {
        id: id.clone(),
        etag: etag(&sent.fields)?,
        enabled,
        ..Member::default()
    };
    let key = &sent.visitor.key;
    let done = portal.upstream.update_member(key, member, &["enabled"]).await;
    let notice = if enabled {
        Notice::Enabled
    } else {
        Notice::Disabled
    };
    told(portal, sent, &id, done.map(|_| notice)).await
}

pub(in crate::portal) async fn mail_password(
    State(portal): State<Portal>,
    Id(id): Id,
    sent: Submitted,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let key = &sent.visitor.key;
    let done = portal.upstream.request_password_reset(key, id.clone()).await;
    told(&portal, &sent, &id, done.map(|()| Notice::Mailed)).await
}

pub(in crate::portal) async fn restore(
    State(portal): State<Portal>,
    Id(id): Id,
    sent: Submitted,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let done = portal
        .upstream
        .restore_member(&sent.visitor.key, id.clone())
        .await;
    told(&portal, &sent, &id, done.map(|()| Notice::Restored)).await
}

/// What came of it, on the page of the member.
async fn told(
    portal: &Portal,
    sent: &Submitted,
    id: &str,
    done: Result<Notice, UpstreamError>,
) -> Result<Response, Problem> {
    match done {
        Ok(notice) => Ok(notice.at(&path(id))),
        Err(error) => {
            let (status, notice) = refused(error)?;
            render(portal, &sent.visitor, id, status, Some(notice), None).await
        }
    }
}
