//! Roles on the wire.

use super::proto::directory_v1::Role as ProtoRole;
use crate::domain::Role;

/// As the wire has it; unspecified is none.
pub(super) fn to_proto(role: Option<Role>) -> i32 {
    let role = match role {
        None => ProtoRole::Unspecified,
        Some(Role::Owner) => ProtoRole::Owner,
        Some(Role::Admin) => ProtoRole::Admin,
        Some(Role::Editor) => ProtoRole::Editor,
        Some(Role::Viewer) => ProtoRole::Viewer,
        Some(Role::RestrictedViewer) => ProtoRole::RestrictedViewer,
    };
    role.into()
}

/// What a caller sent.
///
/// # Errors
///
/// What is wrong with it: it is no number of a role.
pub(super) fn from_proto(role: i32) -> Result<Option<Role>, &'static str> {
    Ok(match ProtoRole::try_from(role) {
        Ok(ProtoRole::Unspecified) => None,
        Ok(ProtoRole::Owner) => Some(Role::Owner),
        Ok(ProtoRole::Admin) => Some(Role::Admin),
        Ok(ProtoRole::Editor) => Some(Role::Editor),
        Ok(ProtoRole::Viewer) => Some(Role::Viewer),
        Ok(ProtoRole::RestrictedViewer) => Some(Role::RestrictedViewer),
        Err(_) => return Err("must be a known role"),
    })
}
