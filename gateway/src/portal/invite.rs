//! Inviting somebody: who gets a role, and a mail with a link to set a password.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    PEOPLE, Portal,
    form::{Fields, Submitted},
    member::chosen_teams,
    notice::Notice,
    page,
    people::{RoleChoice, TeamChoice, Teams, role_choices},
    problem::Problem,
    session::{Frame, Visitor},
    words,
};
use crate::{
    proto::directory_v1::{LinkMemberRequest, Role, get_member_request::By},
    upstream::{Resource, UpstreamError},
};

/// What the event log says that it came from.
const SOURCE: &str = "portal";

/// What is wrong with the form.
struct Trouble {
    text: &'static str,
    /// Whether it is about the address.
    email: bool,
    /// The member who is there already.
    there: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "portal/invite.html")]
struct InvitePage {
    frame: Frame,
    notice: Option<Notice>,
    trouble: Option<Trouble>,
    email: String,
    given_name: String,
    family_name: String,
    roles: Vec<RoleChoice>,
    teams: Vec<TeamChoice>,
    mail: bool,
}

pub(super) async fn show(State(portal): State<Portal>, visitor: Visitor) -> Result<Response, Problem> {
    let role = match visitor.session.default_role() {
        // Not everybody may make one, and nobody should by not looking.
        Role::Owner | Role::Unspecified => Role::Viewer,
        role => role,
    };
    let page = InvitePage {
        roles: role_choices(visitor.is_owner(), role),
        teams: Teams::load(&portal.upstream, &visitor.key).await?.choices(&[]),
        frame: visitor.frame(),
        notice: None,
        trouble: None,
        email: String::new(),
        given_name: String::new(),
        family_name: String::new(),
        mail: true,
    };
    Ok(page::page(StatusCode::OK, &page))
}

pub(super) async fn invite(State(portal): State<Portal>, sent: Submitted) -> Result<Response, Problem> {
    let Submitted { visitor, fields } = sent;
    let role = fields
        .get("role")
        .and_then(words::role_from)
        .ok_or(Problem::Invalid)?;
    let teams = chosen_teams(&fields)?;
    let mail = fields.get("mail").is_some();
    let optional = |name| Some(fields.text(name)).filter(|text: &String| !text.is_empty());
    let request = LinkMemberRequest {
        source: Some(SOURCE.to_owned()),
        email: Some(fields.text("email")),
        given_name: optional("given_name"),
        family_name: optional("family_name"),
        role: role.into(),
        teams: teams.clone(),
        only_without_role: true,
        send_onboarding_mail: mail,
        ..LinkMemberRequest::default()
    };
    let (status, trouble) = match portal.upstream.link_member(&visitor.key, request).await {
        Ok(member) => {
            let notice = if mail { Notice::Invited } else { Notice::Added };
            return Ok(notice.at(&format!("{PEOPLE}/{}", member.id)));
        }
        Err(error) => trouble(&portal, &visitor, &fields, error).await?,
    };
    let page = InvitePage {
        roles: role_choices(visitor.is_owner(), role),
        teams: Teams::load(&portal.upstream, &visitor.key).await?.choices(&teams),
        frame: visitor.frame(),
        notice: None,
        trouble: Some(trouble),
        email: fields.text("email"),
        given_name: fields.text("given_name"),
        family_name: fields.text("family_name"),
        mail,
    };
    Ok(page::page(status, &page))
}

async fn trouble(
    portal: &Portal,
    visitor: &Visitor,
    fields: &Fields,
    error: UpstreamError,
) -> Result<(StatusCode, Trouble), Problem> {
    let (status, text, email) = match error {
        UpstreamError::InvalidArgument => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Check what you have typed: an address looks like name@example.com, and a name has at most 127 characters.",
            true,
        ),
        UpstreamError::AlreadyExists(_) => {
            let by = By::Email(fields.text("email"));
            let there = match portal.upstream.member(&visitor.key, by).await {
                Ok(member) => Some((member.id.clone(), words::label(&member))),
                Err(UpstreamError::NotFound(_) | UpstreamError::InvalidArgument) => None,
                Err(error) => return Err(error.into()),
            };
            let trouble = Trouble {
                text: "Somebody with this address is here already.",
                email: true,
                there,
            };
            return Ok((StatusCode::CONFLICT, trouble));
        }
        UpstreamError::RoleRequired => (StatusCode::FORBIDDEN, Notice::OwnersOnly.text(), false),
        UpstreamError::NotFound(Resource::Team) => (StatusCode::CONFLICT, Notice::TeamGone.text(), false),
        error => return Err(error.into()),
    };
    let trouble = Trouble {
        text,
        email,
        there: None,
    };
    Ok((status, trouble))
}
