//! The user object, and the words for roles.

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use crate::{
    proto::directory_v1::{Association, Member, Role},
    response,
};

/// Every role that makes a member one of The Bridge's users.
pub(super) const ROLES: [Role; 5] = [
    Role::Owner,
    Role::Admin,
    Role::Editor,
    Role::Viewer,
    Role::RestrictedViewer,
];

/// Somebody of the tenant's staff, keys in this order. What is not known is left out.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = thebridge::User)]
pub(super) struct User {
    /// The same in every tenant.
    #[schema(format = Uuid)]
    id: String,
    #[schema(schema_with = role_schema)]
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    email: Option<String>,
    /// The same as `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    full_name: Option<String>,
    /// Has set a password or signed in, or was said to have.
    onboarded: bool,
    enabled: bool,
    /// Keys.
    teams: Vec<String>,
    /// UTC in milliseconds; left out until first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    last_seen: Option<String>,
    /// UTC in milliseconds.
    #[schema(format = DateTime)]
    created_at: String,
}

impl User {
    /// With the keys of the member's teams. None: a member without a role is no user of The Bridge's.
    pub(super) fn of(member: Member, teams: Vec<String>) -> Option<Self> {
        let role = role_name(member.role())?;
        let names = [&member.given_name, &member.family_name];
        let parts: Vec<_> = names.into_iter().flatten().map(String::as_str).collect();
        let full_name = if parts.is_empty() {
            member.name
        } else {
            Some(parts.join(" "))
        };
        Some(Self {
            id: member.user_id,
            role,
            username: member.email.clone(),
            email: member.email,
            first_name: member.given_name,
            last_name: member.family_name,
            full_name,
            onboarded: member.onboarded,
            enabled: member.enabled,
            teams,
            last_seen: member.last_seen_at.as_ref().map(time),
            created_at: time(&member.created_at.unwrap_or_default()),
        })
    }
}

/// That a user belongs to a tenant.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = thebridge::Association)]
pub(super) struct TenantAssociation {
    #[schema(format = Uuid)]
    tenant_id: String,
    tenant_name: String,
    #[schema(schema_with = role_schema)]
    role: &'static str,
}

impl TenantAssociation {
    /// None: the user has no role there.
    pub(super) fn of(association: Association) -> Option<Self> {
        Some(Self {
            role: role_name(association.role())?,
            tenant_id: association.organization_id,
            tenant_name: association.organization_name,
        })
    }
}

/// The words for roles, as a schema.
pub(super) fn role_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(ROLES.into_iter().filter_map(role_name)))
        .build()
}

/// The role of this name.
pub(super) fn role(name: &str) -> Option<Role> {
    ROLES.into_iter().find(|role| role_name(*role) == Some(name))
}

const fn role_name(role: Role) -> Option<&'static str> {
    match role {
        Role::Unspecified => None,
        Role::Owner => Some("OWNER"),
        Role::Admin => Some("ADMIN"),
        Role::Editor => Some("EDITOR"),
        Role::Viewer => Some("VIEWER"),
        Role::RestrictedViewer => Some("RESTRICTED_VIEWER"),
    }
}

/// UTC in milliseconds, such as `2023-01-20T18:00:12.489Z`.
fn time(time: &prost_types::Timestamp) -> String {
    response::time(Some(time))
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(member: Member, teams: &[&str]) -> String {
        let teams = teams.iter().map(|&team| team.to_owned()).collect();
        serde_json::to_string(&User::of(member, teams).unwrap()).unwrap()
    }

    #[test]
    fn a_user_has_the_documented_keys_in_their_order() {
        let time = prost_types::Timestamp {
            seconds: 1_674_237_612,
            nanos: 489_000_000,
        };
        let member = Member {
            user_id: "63cad6ac".to_owned(),
            email: Some("john.doe@example.com".to_owned()),
            given_name: Some("John".to_owned()),
            family_name: Some("Doe".to_owned()),
            role: Role::Owner.into(),
            onboarded: true,
            enabled: true,
            last_seen_at: Some(time),
            created_at: Some(time),
            ..Member::default()
        };
        assert_eq!(
            json(member, &["cool_gang"]),
            r#"{"id":"63cad6ac","role":"OWNER","email":"john.doe@example.com","username":"john.doe@example.com","firstName":"John","lastName":"Doe","fullName":"John Doe","onboarded":true,"enabled":true,"teams":["cool_gang"],"lastSeen":"2023-01-20T18:00:12.489Z","createdAt":"2023-01-20T18:00:12.489Z"}"#
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let member = Member {
            role: Role::RestrictedViewer.into(),
            ..Member::default()
        };
        assert_eq!(
            json(member.clone(), &[]),
            r#"{"id":"","role":"RESTRICTED_VIEWER","onboarded":false,"enabled":false,"teams":[],"createdAt":"1970-01-01T00:00:00.000Z"}"#
        );
        let named = |given: Option<&str>, name: Option<&str>| {
            let member = Member {
                given_name: given.map(str::to_owned),
                name: name.map(str::to_owned),
                ..member.clone()
            };
            User::of(member, Vec::new()).unwrap().full_name
        };
        assert_eq!(named(Some("Ada"), None).as_deref(), Some("Ada"));
        assert_eq!(named(None, Some("Ada King")).as_deref(), Some("Ada King"));
        assert_eq!(User::of(Member::default(), Vec::new()), None);
    }

    #[test]
    fn roles_are_named_in_capitals() {
        assert_eq!(role("RESTRICTED_VIEWER"), Some(Role::RestrictedViewer));
        for none in ["owner", "", "ROLE_OWNER"] {
            assert_eq!(role(none), None);
        }
    }
}
