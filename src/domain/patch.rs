//! Changes of a member.

use super::{
    AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, ExternalId, FamilyName,
    GivenName, Locale, Member, PersonName, PortalRole, Role, TeamNumber,
};

/// New values for some fields of a member. None leaves a field as it is; for a field that may be absent, `Some(None)`
/// clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPatch {
    pub email: Option<Option<Email>>,
    pub name: Option<Option<DisplayName>>,
    pub avatar_url: Option<Option<AvatarUrl>>,
    pub portal_role: Option<Option<PortalRole>>,
    pub company_name: Option<Option<CompanyName>>,
    pub customer_status: Option<Option<CustomerStatus>>,
    pub locale: Option<Option<Locale>>,
    /// Without `name`, this and `family_name` make it. A new `name` without them clears both.
    pub given_name: Option<Option<GivenName>>,
    pub family_name: Option<Option<FamilyName>>,
    pub role: Option<Option<Role>>,
    /// Whether it may do anything.
    pub enabled: Option<bool>,
    /// How it signs in.
    pub auth_method: Option<Option<AuthMethod>>,
    /// Whether it has set a password or signed in.
    pub onboarded: Option<bool>,
    /// The source's own id.
    pub external_id: Option<Option<ExternalId>>,
    /// The set of teams, ascending, each once.
    pub teams: Option<Vec<TeamNumber>>,
    pub primary_team: Option<TeamNumber>,
}

impl MemberPatch {
    /// The same for a link. Linked without a role in the portal or an access role, a member becomes an end user, unless it
    /// is one already.
    #[must_use]
    pub fn or_end_user(mut self, member: &Member) -> Self {
        let is_end_user = member.profile.portal_role.is_some();
        if self.portal_role.is_none() && self.role.flatten().is_none() && !is_end_user {
            self.portal_role = Some(Some(PortalRole::default()));
        }
        self
    }

    pub fn apply(self, member: &mut Member) {
        let profile = &mut member.profile;
        let has_parts = self.given_name.is_some() || self.family_name.is_some();
        if !has_parts && self.name.as_ref().is_some_and(|name| *name != profile.name) {
            member.person = PersonName::default();
        }
        let made_before = member.person.display_name();
        set(&mut member.person.given_name, self.given_name);
        set(&mut member.person.family_name, self.family_name);
        if has_parts && self.name.is_none() {
            let made = member.person.display_name();
            // One that was made of parts goes with them.
            let given = || {
                profile
                    .name
                    .take()
                    .filter(|name| made_before.as_ref() != Some(name))
            };
            profile.name = made.or_else(given);
        }
        set(&mut profile.email, self.email);
        set(&mut profile.name, self.name);
        set(&mut profile.avatar_url, self.avatar_url);
        set(&mut profile.portal_role, self.portal_role);
        set(&mut profile.company_name, self.company_name);
        set(&mut profile.customer_status, self.customer_status);
        set(&mut profile.locale, self.locale);
        set(&mut member.access.role, self.role);
        set(&mut member.access.enabled, self.enabled);
        set(&mut member.access.auth_method, self.auth_method);
        set(&mut member.access.onboarded, self.onboarded);
        set(&mut member.origin.external_id, self.external_id);
        set(&mut member.teams, self.teams);
        set(&mut member.primary_team, self.primary_team);
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
