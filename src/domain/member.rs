//! Members: links of users to organizations, with all that internal services manage.

use super::{
    Email, MemberId, PersonName, Profile, PublicMember, Timestamp, UserId, event::changed, names::names,
    text::text,
};

names! {
    /// What staff may do for those who run the organization.
    Role, "must be one of owner, admin, editor, viewer, restricted_viewer",
    /// Everything. An organization that has an enabled owner keeps one.
    Owner = "owner",
    /// Manages members.
    Admin = "admin",
    /// Changes content.
    Editor = "editor",
    /// Reads.
    Viewer = "viewer",
    /// Reads what it is given.
    RestrictedViewer = "restricted_viewer",
}

impl Role {
    /// Its place in the order of roles: 1 for the one that may do most.
    #[must_use]
    pub const fn rank(self) -> i64 {
        self as i64 + 1
    }
}

names! {
    /// How a member signs in.
    AuthMethod, "must be one of password, oidc",
    /// With a password of this directory.
    Password = "password",
    /// Through an identity provider.
    Oidc = "oidc",
}

text!(
    /// What linked a member: `portal`, `ingestion`, `import`, `api`, or the name of an integration.
    Source, max 64
);
text!(
    /// A source's own id of a member.
    ExternalId, max 255
);

impl Default for Source {
    fn default() -> Self {
        Self("api".to_owned())
    }
}

/// The number of a member: it counts the members of its organization, 1 and up, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberNumber(pub i64);

/// The number of a team: it counts the teams of its organization, 1 and up, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
pub struct TeamNumber(pub i64);

impl TeamNumber {
    /// Every organization's first team.
    pub const ROOT: Self = Self(1);
}

/// What a member is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// None: not staff.
    pub role: Option<Role>,
    /// False: it keeps its place and may do nothing.
    pub enabled: bool,
    /// How it signs in, if that was said.
    pub auth_method: Option<AuthMethod>,
    /// Whether it has set a password or signed in.
    pub onboarded: bool,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            role: None,
            enabled: true,
            auth_method: None,
            onboarded: false,
        }
    }
}

impl Access {
    /// Whether it is an owner who can act as one.
    #[must_use]
    pub fn is_enabled_owner(self) -> bool {
        self.enabled && self.role == Some(Role::Owner)
    }
}

/// Where a member came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub source: Source,
    /// The source's own id, unique among live members of the source.
    pub external_id: Option<ExternalId>,
}

/// A member, live or revoked, with all that is managed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub user_id: UserId,
    /// The organization's own copy of it: no other organization sees or changes it.
    pub profile: Profile,
    /// What the name in the profile was made of.
    pub person: PersonName,
    /// When the link was made.
    pub created_at: Timestamp,
    pub number: MemberNumber,
    /// Since when it has its address, or none, live without a break.
    pub email_since: Timestamp,
    /// What it is allowed.
    pub access: Access,
    /// Where it came from.
    pub origin: Origin,
    /// Teams it was put in, ascending.
    pub teams: Vec<TeamNumber>,
    pub primary_team: TeamNumber,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last seen, within a minute.
    pub last_seen_at: Option<Timestamp>,
    /// When its link ended.
    pub revoked_at: Option<Timestamp>,
    /// When its personal data was removed.
    pub erased_at: Option<Timestamp>,
    /// Grows with every change.
    pub version: i64,
}

/// What every integrator sees of a live member.
impl From<Member> for PublicMember {
    fn from(member: Member) -> Self {
        Self {
            id: member.id,
            user_id: member.user_id,
            profile: member.profile,
            created_at: member.created_at,
        }
    }
}

/// An address in the time in which a link had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAddress {
    pub member_id: MemberId,
    pub number: MemberNumber,
    /// The first version of the link that did not have it any more; the highest number there is while it has it.
    pub version: i64,
    pub email: Email,
    /// Since when the link had it, live without a break.
    pub since: Timestamp,
    /// Until when. None while the link is live and has it.
    pub until: Option<Timestamp>,
}

impl Member {
    /// Whether the link has not ended.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.revoked_at.is_none()
    }

    /// Whether it is an end user, staff, or both. A live member always is.
    #[must_use]
    pub const fn has_facet(&self) -> bool {
        self.profile.portal_role.is_some() || self.access.role.is_some()
    }

    /// Whether it is live and may manage members itself.
    #[must_use]
    pub fn may_administer(&self) -> bool {
        self.is_live() && self.access.enabled && matches!(self.access.role, Some(Role::Owner | Role::Admin))
    }

    /// Whether it is live and an owner who can act as one.
    #[must_use]
    pub fn is_acting_owner(&self) -> bool {
        self.is_live() && self.access.is_enabled_owner()
    }

    /// Names of the fields that have another value than before: what the event of a change says. None before: it is a
    /// new member, with a source and what else is not the default. An erasure is told by the event itself, so it names
    /// what there was to erase.
    #[must_use]
    pub fn changes(before: Option<&Self>, after: &Self) -> Vec<&'static str> {
        let is_new = before.is_none();
        let blank;
        let before = if let Some(before) = before {
            before
        } else {
            blank = Self {
                profile: Profile::default(),
                person: PersonName::default(),
                access: Access::default(),
                origin: Origin::default(),
                teams: Vec::new(),
                primary_team: TeamNumber::ROOT,
                last_seen_at: None,
                revoked_at: None,
                ..after.clone()
            };
            &blank
        };
        let (old_profile, profile) = (&before.profile, &after.profile);
        let (old_person, person) = (&before.person, &after.person);
        let (old_access, access) = (&before.access, &after.access);
        let (old_origin, origin) = (&before.origin, &after.origin);
        changed([
            ("email", old_profile.email != profile.email),
            ("name", old_profile.name != profile.name),
            ("avatar_url", old_profile.avatar_url != profile.avatar_url),
            ("portal_role", old_profile.portal_role != profile.portal_role),
            ("company_name", old_profile.company_name != profile.company_name),
            (
                "customer_status",
                old_profile.customer_status != profile.customer_status,
            ),
            ("locale", old_profile.locale != profile.locale),
            ("given_name", old_person.given_name != person.given_name),
            ("family_name", old_person.family_name != person.family_name),
            ("role", old_access.role != access.role),
            ("enabled", old_access.enabled != access.enabled),
            ("auth_method", old_access.auth_method != access.auth_method),
            ("onboarded", old_access.onboarded != access.onboarded),
            ("source", is_new || old_origin.source != origin.source),
            ("external_id", old_origin.external_id != origin.external_id),
            ("teams", before.teams != after.teams),
            ("primary_team", before.primary_team != after.primary_team),
            ("last_seen_at", before.last_seen_at != after.last_seen_at),
            ("revoked_at", before.revoked_at != after.revoked_at),
        ])
    }
}
