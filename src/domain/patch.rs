//! Changes of a member.

use super::{
    AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, ExternalId, MemberEntry,
    PortalRole, Role, TeamNumber,
};

/// New values for some fields of a member. None leaves a field as it is; for a field that may be absent, `Some(None)`
/// clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPatch {
    /// Address.
    pub email: Option<Option<Email>>,
    /// Display name.
    pub name: Option<Option<DisplayName>>,
    /// Picture.
    pub avatar_url: Option<Option<AvatarUrl>>,
    /// Role in the portal.
    pub portal_role: Option<PortalRole>,
    /// Company.
    pub company_name: Option<Option<CompanyName>>,
    /// CRM status.
    pub customer_status: Option<Option<CustomerStatus>>,
    /// Access role.
    pub role: Option<Option<Role>>,
    /// Whether it may do anything.
    pub enabled: Option<bool>,
    /// How it signs in.
    pub auth_method: Option<Option<AuthMethod>>,
    /// The source's own id.
    pub external_id: Option<Option<ExternalId>>,
    /// The set of teams, ascending, each once.
    pub teams: Option<Vec<TeamNumber>>,
    /// Main team.
    pub primary_team: Option<TeamNumber>,
}

impl MemberPatch {
    /// Changes the entry and returns the names of the fields that have another value now.
    pub fn apply(self, entry: &mut MemberEntry) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let profile = &mut entry.member.profile;
        set(&mut profile.email, self.email, "email", &mut changed);
        set(&mut profile.name, self.name, "name", &mut changed);
        set(
            &mut profile.avatar_url,
            self.avatar_url,
            "avatar_url",
            &mut changed,
        );
        set(
            &mut profile.portal_role,
            self.portal_role,
            "portal_role",
            &mut changed,
        );
        set(
            &mut profile.company_name,
            self.company_name,
            "company_name",
            &mut changed,
        );
        set(
            &mut profile.customer_status,
            self.customer_status,
            "customer_status",
            &mut changed,
        );
        set(&mut entry.access.role, self.role, "role", &mut changed);
        set(&mut entry.access.enabled, self.enabled, "enabled", &mut changed);
        set(
            &mut entry.access.auth_method,
            self.auth_method,
            "auth_method",
            &mut changed,
        );
        set(
            &mut entry.origin.external_id,
            self.external_id,
            "external_id",
            &mut changed,
        );
        set(&mut entry.teams, self.teams, "teams", &mut changed);
        set(
            &mut entry.primary_team,
            self.primary_team,
            "primary_team",
            &mut changed,
        );
        changed
    }
}

fn set<T: PartialEq>(field: &mut T, value: Option<T>, name: &'static str, changed: &mut Vec<&'static str>) {
    if let Some(value) = value.filter(|value| value != field) {
        *field = value;
        changed.push(name);
    }
}
