//! Removing somebody, who is asked about first.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{Id, etag, parse_id, refused, render};
use crate::{
    portal::{
        PEOPLE, Portal,
        form::Submitted,
        notice::Notice,
        page,
        people::{Person, Teams},
        problem::Problem,
        session::{Frame, Visitor},
    },
    proto::directory_v1::{Member, get_member_request::By},
};

#[derive(Template)]
#[template(path = "portal/remove.html")]
struct RemovePage {
    frame: Frame,
    notice: Option<Notice>,
    person: Person,
    etag: String,
    retention_days: Option<i32>,
}

pub(in crate::portal) async fn ask(
    State(portal): State<Portal>,
    Id(id): Id,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let by = By::Id(parse_id(&id)?);
    let member = portal.upstream.member(&visitor.key, by).await?;
    let page = RemovePage {
        frame: visitor.frame(),
        notice: None,
        person: Person::new(&member, &Teams::default(), &visitor),
        etag: member.etag,
        retention_days: visitor.session.retention_days,
    };
    Ok(page::page(StatusCode::OK, &page))
}

pub(in crate::portal) async fn remove(
    State(portal): State<Portal>,
    Id(id): Id,
    sent: Submitted,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let member = Member {
        id: id.clone(),
        etag: etag(&sent.fields)?,
        ..Member::default()
    };
    match portal.upstream.revoke_member(&sent.visitor.key, member).await {
        Ok(()) => Ok(page::see_other(&format!("{PEOPLE}?notice=removed&member={id}"))),
        Err(error) => {
            let (status, notice) = refused(error)?;
            render(&portal, &sent.visitor, &id, status, Some(notice), None).await
        }
    }
}
