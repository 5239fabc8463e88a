//! Events of the directory's log, in words, with the names of those who are in them.

use std::collections::{BTreeSet, HashMap};

use super::{
    Portal,
    people::Teams,
    session::Visitor,
    words::{self, Moment},
};
use crate::{
    proto::directory_v1::{Event, Member},
    upstream::UpstreamError,
};

/// Something that happened.
pub(super) struct Change {
    pub(super) who: String,
    pub(super) what: String,
    /// The member it happened to, and its id. None: to none, or to whoever did it.
    pub(super) whom: Option<(String, String)>,
    /// The names of what changed, or of a team.
    pub(super) details: String,
    pub(super) at: Option<Moment>,
}

/// Asks once for everybody who is in the events.
pub(super) async fn describe(
    portal: &Portal,
    visitor: &Visitor,
    teams: &Teams,
    events: &[Event],
) -> Result<Vec<Change>, UpstreamError> {
    let ids: BTreeSet<&str> = events
        .iter()
        .flat_map(|event| [acting_member(event).unwrap_or_default(), &event.member_id])
        .filter(|id| !id.is_empty())
        .collect();
    let members = if ids.is_empty() {
        Vec::new()
    } else {
        let ids = ids.into_iter().map(str::to_owned).collect();
        portal.upstream.any_members(&visitor.key, ids).await?
    };
    let members: HashMap<_, _> = members
        .iter()
        .map(|member| (member.id.as_str(), member))
        .collect();
    Ok(events
        .iter()
        .map(|event| change(event, teams, &members))
        .collect())
}

/// The id of the member who did it, if one did.
fn acting_member(event: &Event) -> Option<&str> {
    event.actor.strip_prefix("member:")
}

fn change(event: &Event, teams: &Teams, members: &HashMap<&str, &Member>) -> Change {
    let name = |id: &str| {
        let member = members.get(id);
        member.map_or_else(|| "Somebody".to_owned(), |member| words::label(member))
    };
    let who = match (acting_member(event), event.actor.as_str()) {
        (Some(id), _) => name(id),
        (None, "operator") => "An operator".to_owned(),
        (None, "retention") => "The clean-up job".to_owned(),
        (None, "mail") => "Mail delivery".to_owned(),
        (None, _) => "An application".to_owned(),
    };
    let did_it_themselves = acting_member(event) == Some(event.member_id.as_str());
    let whom = !event.member_id.is_empty() && !did_it_themselves;
    let details = if event.team == 0 {
        words::fields(&event.fields)
    } else {
        teams.name(event.team)
    };
    let reflexive = did_it_themselves
        .then(|| words::event_of_oneself(&event.kind))
        .flatten();
    let what = reflexive.unwrap_or_else(|| words::event(&event.kind)).to_owned();
    Change {
        who,
        what,
        whom: whom.then(|| (event.member_id.clone(), name(&event.member_id))),
        details,
        at: Moment::of(event.at.as_ref()),
    }
}

/// The last change of a user's, for somebody who was too late.
pub(super) async fn last_of(
    portal: &Portal,
    visitor: &Visitor,
    user_id: &str,
) -> Result<Option<Change>, UpstreamError> {
    let request = crate::proto::directory_v1::ListEventsRequest {
        page_size: 1,
        user_id: user_id.to_owned(),
        kinds: [
            "member.linked",
            "member.updated",
            "member.revoked",
            "member.restored",
        ]
        .map(str::to_owned)
        .into(),
        order_by: "sequence desc".to_owned(),
        ..Default::default()
    };
    let events = portal.upstream.list_events(&visitor.key, request).await?.events;
    let changes = describe(portal, visitor, &Teams::default(), &events).await?;
    Ok(changes.into_iter().next())
}
