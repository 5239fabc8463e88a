//! One person: what is known of them, and what can be done about it.
//!
//! A form carries the etag of the member that it was made from. Who comes second, after somebody else has changed the
//! member, is told who did what; what they have chosen is still there, to be saved over it.

mod actions;
mod remove;

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, Uri, request::Parts},
    response::Response,
};
use uuid::Uuid;

pub(super) use self::{
    actions::{disable, enable, mail_password, restore},
    remove::{ask as ask_to_remove, remove},
};
use super::{
    PEOPLE, Portal,
    changes::{self, Change},
    form::{Fields, Submitted},
    notice::Notice,
    page,
    people::{Person, RoleChoice, TeamChoice, Teams, role_choices},
    problem::Problem,
    session::{Frame, Visitor},
    words::{self, State as MemberState},
};
use crate::{
    proto::directory_v1::{Member, Role},
    upstream::{Precondition, Resource, UpstreamError},
};

#[derive(Template)]
#[template(path = "portal/member.html")]
struct MemberPage {
    frame: Frame,
    notice: Option<Notice>,
    person: Person,
    /// What the visitor has not seen yet, where the form is shown a second time.
    conflict: Option<Change>,
    roles: Vec<RoleChoice>,
    teams: Vec<TeamChoice>,
    /// Teams that are not offered and stay.
    kept_teams: Vec<i64>,
    etag: String,
    user_id: String,
    number: i64,
    auth_method: &'static str,
    locale: Option<String>,
    source: String,
    live: bool,
    erased: bool,
}

/// What the visitor has chosen, which the directory has not taken.
struct Draft {
    role: Role,
    teams: Vec<i64>,
}

/// The id in a path, as it is there. What can't be decoded is nobody's, like all else that is no id.
pub(super) struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(decoded.map(|Path(id)| id).unwrap_or_default()))
    }
}

/// The member of a path. What is no id is nobody's.
fn parse_id(id: &str) -> Result<String, Problem> {
    let id = Uuid::try_parse(id).map_err(|_| Problem::NotFound)?;
    Ok(id.to_string())
}

fn path(id: &str) -> String {
    format!("{PEOPLE}/{id}")
}

/// The numbers of the teams that a form has.
pub(super) fn chosen_teams(fields: &Fields) -> Result<Vec<i64>, Problem> {
    let numbers = fields.all("team").map(str::parse);
    numbers.collect::<Result<_, _>>().map_err(|_| Problem::Invalid)
}

/// The etag that a form was made with. Without one anything would be overwritten.
fn etag(fields: &Fields) -> Result<String, Problem> {
    let etag = fields.get("etag").filter(|etag| !etag.is_empty());
    Ok(etag.ok_or(Problem::Invalid)?.to_owned())
}

pub(super) async fn show(
    State(portal): State<Portal>,
    Id(id): Id,
    uri: Uri,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let notice = Notice::of(&Fields::of(&uri));
    render(&portal, &visitor, &parse_id(&id)?, StatusCode::OK, notice, None).await
}

/// Changes role and teams.
pub(super) async fn save(
    State(portal): State<Portal>,
    Id(id): Id,
    sent: Submitted,
) -> Result<Response, Problem> {
    let Submitted { visitor, fields } = sent;
    let id = parse_id(&id)?;
    let role = fields
        .get("role")
        .and_then(words::role_from)
        .ok_or(Problem::Invalid)?;
    let teams = chosen_teams(&fields)?;
    let member = Member {
        id: id.clone(),
        etag: etag(&fields)?,
        role: role.into(),
        teams: teams.clone(),
        ..Member::default()
    };
    match portal
        .upstream
        .update_member(&visitor.key, member, &["role", "teams"])
        .await
    {
        Ok(_) => Ok(Notice::Saved.at(&path(&id))),
        Err(error) => {
            let (status, notice) = refused(error)?;
            let draft = Some(Draft { role, teams });
            render(&portal, &visitor, &id, status, Some(notice), draft).await
        }
    }
}

/// A refusal that the visitor can do something about, or the problem.
fn refused(error: UpstreamError) -> Result<(StatusCode, Notice), Problem> {
    let notice = match error {
        UpstreamError::Changed => Notice::Conflict,
        UpstreamError::RoleRequired => return Ok((StatusCode::FORBIDDEN, Notice::OwnersOnly)),
        UpstreamError::NotFound(Resource::Team) => Notice::TeamGone,
        UpstreamError::AlreadyExists(_) => Notice::Taken,
        UpstreamError::FailedPrecondition(precondition) => match precondition {
            Precondition::LastOwner => Notice::LastOwner,
            Precondition::NoEmail => Notice::NoEmail,
            Precondition::RetentionPassed => Notice::TooLate,
            Precondition::MemberErased => Notice::Erased,
            Precondition::PasswordTooCommon | Precondition::Other => Notice::NotPossible,
        },
        error => return Err(error.into()),
    };
    Ok((StatusCode::CONFLICT, notice))
}

/// The page of a member as it is now.
async fn render(
    portal: &Portal,
    visitor: &Visitor,
    id: &str,
    status: StatusCode,
    notice: Option<Notice>,
    draft: Option<Draft>,
) -> Result<Response, Problem> {
    let (member, teams) = tokio::try_join!(
        portal.upstream.any_member(&visitor.key, id.to_owned()),
        Teams::load(&portal.upstream, &visitor.key),
    )?;
    let conflict = if notice == Some(Notice::Conflict) {
        changes::last_of(portal, visitor, &member.user_id).await?
    } else {
        None
    };
    let draft = draft.unwrap_or_else(|| Draft {
        role: member.role(),
        teams: member.teams.clone(),
    });
    let page = MemberPage {
        frame: visitor.frame(),
        notice,
        person: Person::new(&member, &teams, visitor),
        conflict,
        roles: role_choices(visitor.is_owner(), draft.role),
        teams: teams.choices(&draft.teams),
        kept_teams: teams.kept(&member.teams),
        auth_method: words::auth_method(member.auth_method()),
        live: member.revoked_at.is_none(),
        erased: member.erased_at.is_some(),
        number: member.number,
        etag: member.etag,
        user_id: member.user_id,
        locale: member.locale,
        source: member.source,
    };
    Ok(page::page(status, &page))
}
