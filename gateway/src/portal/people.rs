//! People and teams as pages show them.

use std::collections::BTreeMap;

use super::words::{self, Moment, State};
use crate::{
    Upstream,
    proto::directory_v1::{Member, Role, Team},
    upstream::{Key, UpstreamError},
};

/// Most teams that a page names: beyond them a form of checkboxes is of no use.
const MAX_TEAMS: usize = 5_000;

/// The organization's teams in the order of their numbers.
#[derive(Default)]
pub(super) struct Teams(BTreeMap<i64, Team>);

/// A team in a form.
pub(super) struct TeamChoice {
    pub(super) number: i64,
    pub(super) name: String,
    pub(super) chosen: bool,
}

impl Teams {
    pub(super) async fn load(upstream: &Upstream, key: &Key) -> Result<Self, UpstreamError> {
        let mut teams = BTreeMap::new();
        let mut token = String::new();
        loop {
            let page = upstream.list_teams(key, token).await?;
            teams.extend(page.teams.into_iter().map(|team| (team.number, team)));
            token = page.next_page_token;
            if token.is_empty() || teams.len() >= MAX_TEAMS {
                return Ok(Self(teams));
            }
        }
    }

    pub(super) fn name(&self, number: i64) -> String {
        let team = self.0.get(&number);
        team.map_or_else(|| format!("Team {number}"), |team| team.name.clone())
    }

    /// All but the root team, which everybody is below anyway.
    pub(super) fn choices(&self, chosen: &[i64]) -> Vec<TeamChoice> {
        let offered = self.0.values().filter(|team| !team.root);
        offered
            .map(|team| TeamChoice {
                number: team.number,
                name: team.name.clone(),
                chosen: chosen.contains(&team.number),
            })
            .collect()
    }

    /// Those that a form does not offer, so that it does not take them away.
    pub(super) fn kept(&self, chosen: &[i64]) -> Vec<i64> {
        let offered = |number: &i64| self.0.get(number).is_some_and(|team| !team.root);
        chosen.iter().copied().filter(|number| !offered(number)).collect()
    }
}

/// A role in a form.
pub(super) struct RoleChoice {
    pub(super) value: &'static str,
    pub(super) name: &'static str,
    pub(super) hint: &'static str,
    pub(super) chosen: bool,
}

/// The roles that the visitor may give.
pub(super) fn role_choices(may_make_owner: bool, chosen: Role) -> Vec<RoleChoice> {
    let offered = words::ROLES
        .into_iter()
        .filter(|&role| may_make_owner || role != Role::Owner);
    offered
        .map(|role| RoleChoice {
            value: words::role_value(role),
            name: words::role(role),
            hint: words::role_hint(role),
            chosen: role == chosen,
        })
        .collect()
}

/// A member as pages show it.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) email: Option<String>,
    pub(super) initials: String,
    pub(super) hue: i64,
    pub(super) role: &'static str,
    pub(super) teams: Vec<String>,
    pub(super) state: State,
    pub(super) created: Option<Moment>,
    pub(super) changed: Option<Moment>,
    pub(super) seen: Option<Moment>,
    pub(super) removed: Option<Moment>,
    pub(super) is_you: bool,
    /// Whether the visitor's role reaches that far.
    pub(super) may_change: bool,
}

impl Person {
    pub(super) fn new(member: &Member, teams: &Teams, visitor: &super::Visitor) -> Self {
        let label = words::label(member);
        Self {
            id: member.id.clone(),
            email: member.email.clone(),
            initials: words::initials(&label),
            label,
            hue: words::hue(member),
            role: words::role(member.role()),
            teams: member.teams.iter().map(|&number| teams.name(number)).collect(),
            state: State::of(member),
            created: Moment::of(member.created_at.as_ref()),
            changed: Moment::of(member.updated_at.as_ref()),
            seen: Moment::of(member.last_seen_at.as_ref()),
            removed: Moment::of(member.revoked_at.as_ref()),
            is_you: member.id == visitor.member.id,
            may_change: visitor.may_change(member.role()),
        }
    }
}
