//! The user object, and the words for roles and ways to sign in.

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use crate::{
    proto::directory_v1::{AuthMethod, Member, Role},
    response,
};

/// Every role that makes a member one of Feedier's users.
pub(super) const ROLES: [Role; 5] = [
    Role::Owner,
    Role::Admin,
    Role::Editor,
    Role::Viewer,
    Role::RestrictedViewer,
];

/// Ways to sign in, and their words.
pub(super) const AUTH_METHODS: [(&str, AuthMethod); 2] =
    [("password", AuthMethod::Password), ("oidc", AuthMethod::Oidc)];

/// Somebody of the organization's staff. All eight keys are always there, in this order.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = feedier::User)]
pub(super) struct User {
    /// Their number in the organization, never used again.
    id: i64,
    /// The address for somebody without a name.
    name: String,
    #[schema(required)]
    email: Option<String>,
    /// An owner reads as an admin.
    #[schema(schema_with = role_schema)]
    role: &'static str,
    primary_team_id: i64,
    /// The same as `primary_team_id`.
    team_id: i64,
    /// UTC in whole seconds.
    #[schema(format = DateTime)]
    created_at: String,
    /// UTC in whole seconds.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl User {
    /// None: a member without a role is no user of Feedier's.
    pub(super) fn of(member: Member) -> Option<Self> {
        let role = role_name(member.role())?;
        Some(Self {
            id: member.number,
            name: member.name.or_else(|| member.email.clone()).unwrap_or_default(),
            email: member.email,
            role,
            primary_team_id: member.primary_team,
            team_id: member.primary_team,
            created_at: time(member.created_at.as_ref()),
            updated_at: time(member.updated_at.as_ref()),
        })
    }
}

/// The word for a role. An owner reads as an admin.
pub(super) const fn role_name(role: Role) -> Option<&'static str> {
    match role {
        Role::Unspecified => None,
        Role::Owner | Role::Admin => Some("admin"),
        Role::Editor => Some("editor"),
        Role::Viewer => Some("viewer"),
        Role::RestrictedViewer => Some("restricted_viewer"),
    }
}

/// The roles that can be given, and their words.
pub(super) fn given_roles() -> impl Iterator<Item = (&'static str, Role)> {
    let roles = ROLES.into_iter().filter(|role| *role != Role::Owner);
    roles.filter_map(|role| Some((role_name(role)?, role)))
}

/// The role to give to someone who is to have the role of this name.
pub(super) fn role(name: &str) -> Option<Role> {
    given_roles().find_map(|(known, role)| (known == name).then_some(role))
}

/// The way to sign in that has this name.
pub(super) fn auth_method(name: &str) -> Option<AuthMethod> {
    AUTH_METHODS
        .into_iter()
        .find_map(|(known, method)| (known == name).then_some(method))
}

/// The words for roles, as a schema.
pub(super) fn role_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(given_roles().map(|(name, _)| name)))
        .build()
}

/// UTC in whole seconds, such as `2021-06-15T09:30:10+00:00`.
fn time(time: Option<&prost_types::Timestamp>) -> String {
    response::time(time)
        .strftime("%Y-%m-%dT%H:%M:%S+00:00")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_eight_keys_in_the_documented_order() {
        let member = Member {
            number: 3,
            name: Some("Aurelio Montoya".to_owned()),
            email: Some("aurelio@example.com".to_owned()),
            role: Role::Owner.into(),
            primary_team: 4,
            created_at: Some(prost_types::Timestamp {
                seconds: 1_623_749_410,
                nanos: 999_000_000,
            }),
            updated_at: Some(prost_types::Timestamp {
                seconds: 1_623_843_775,
                nanos: 0,
            }),
            ..Member::default()
        };
        let user = User::of(member).unwrap();
        assert_eq!(
            serde_json::to_string(&user).unwrap(),
            r#"{"id":3,"name":"Aurelio Montoya","email":"aurelio@example.com","role":"admin","primary_team_id":4,"team_id":4,"created_at":"2021-06-15T09:30:10+00:00","updated_at":"2021-06-16T11:42:55+00:00"}"#
        );
        assert_eq!(User::of(Member::default()), None);
    }

    #[test]
    fn a_name_is_never_null() {
        let member = |name: Option<&str>, email: Option<&str>| Member {
            name: name.map(str::to_owned),
            email: email.map(str::to_owned),
            role: Role::Viewer.into(),
            ..Member::default()
        };
        for (name, email, shown) in [
            (Some("A"), Some("a@b.example"), "A"),
            (None, Some("a@b.example"), "a@b.example"),
            (None, None, ""),
        ] {
            let user = User::of(member(name, email)).unwrap();
            assert_eq!((user.name.as_str(), user.email.as_deref()), (shown, email));
        }
    }

    #[test]
    fn nobody_is_made_an_owner_by_a_word() {
        assert_eq!(role("admin"), Some(Role::Admin));
        assert_eq!(role("restricted_viewer"), Some(Role::RestrictedViewer));
        for none in ["owner", "Admin", ""] {
            assert_eq!(role(none), None);
        }
    }
}
