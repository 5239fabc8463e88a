//! Messages to domain values, with every violation noted.

use prost_types::FieldMask;
use tonic::Status;

use crate::{
    domain::{
        Access, AuthMethod, AvatarUrl, CompanyName, CustomerStatus, DisplayName, Email, ExternalId,
        FamilyName, GivenName, ImportRow, LinkRequest, Locale, Member, MemberNumber, MemberPatch, MemberRef,
        Origin, PersonName, PortalRole, Profile, Role, Source, TeamNumber,
    },
    rpc::{proto::userbridge::directory::v1 as pb, time::moment, violations::Violations},
};

/// Most teams of one member.
const MAX_TEAMS: usize = 100;

/// The fields that a mask may name.
const MUTABLE: [&str; 16] = [
    "email",
    "name",
    "avatar_url",
    "portal_role",
    "company_name",
    "customer_status",
    "locale",
    "given_name",
    "family_name",
    "role",
    "enabled",
    "onboarded",
    "auth_method",
    "external_id",
    "teams",
    "primary_team",
];

/// Reads each text of a profile: `read` is a macro that takes the name of the field and the type of its value.
macro_rules! profile_texts {
    ($read:ident) => {
        $read!(email: Email);
        $read!(name: DisplayName);
        $read!(avatar_url: AvatarUrl);
        $read!(portal_role: PortalRole);
        $read!(company_name: CompanyName);
        $read!(customer_status: CustomerStatus);
        $read!(locale: Locale);
        $read!(given_name: GivenName);
        $read!(family_name: FamilyName);
    };
}

/// # Errors
///
/// `INVALID_ARGUMENT` with every violation, those that were noted before too.
pub(super) fn link_request(
    request: pb::LinkMemberRequest,
    mut violations: Violations,
) -> Result<LinkRequest, Status> {
    if request.user_id.is_none() && request.external_id.is_none() && request.email.is_none() {
        violations.add(
            "email",
            "at least one of user_id, external_id and email is required",
        );
    }
    if request.external_id.is_some() && request.source.is_none() {
        violations.add("source", "is required with external_id");
    }
    let user_id = request.user_id.and_then(|id| violations.id("user_id", &id));
    let source = violations.optional("source", request.source, Source::new);
    let external_id = violations.optional("external_id", request.external_id, ExternalId::new);
    let role = role(&mut violations, "role", request.role);
    let auth_method = auth_method(&mut violations, "auth_method", request.auth_method);
    let mut values = MemberPatch {
        role: role.map(Some),
        auth_method: auth_method.map(Some),
        ..MemberPatch::default()
    };
    macro_rules! read {
        ($field:ident: $type:ident) => {
            let value = violations.optional(stringify!($field), request.$field, $type::new);
            values.$field = value.map(Some);
        };
    }
    profile_texts!(read);
    values.teams = Some(teams(&mut violations, "teams", request.teams)).filter(|teams| !teams.is_empty());
    let primary_team = request.primary_team;
    values.primary_team = primary_team.and_then(|number| team(&mut violations, "primary_team", number));
    let source = source.unwrap_or_default();
    violations.finish(Some(LinkRequest {
        user_id,
        origin: Origin { source, external_id },
        values,
        only_without_role: request.only_without_role,
        staff: request.staff,
        send_onboarding_mail: request.send_onboarding_mail,
    }))
}

/// A row of an import. Violations are noted; then the row is not to be used.
pub(in crate::rpc) fn import_row(row: pb::ImportRow, violations: &mut Violations) -> ImportRow {
    let source = row.source.unwrap_or_else(|| ImportRow::SOURCE.to_owned());
    let source = violations
        .check("source", Source::new(source))
        .unwrap_or_default();
    let external_id = violations.optional("external_id", row.external_id, ExternalId::new);
    let mut values = MemberPatch {
        role: role(violations, "role", row.role).map(Some),
        enabled: row.enabled,
        auth_method: auth_method(violations, "auth_method", row.auth_method).map(Some),
        onboarded: row.onboarded,
        ..MemberPatch::default()
    };
    macro_rules! read {
        ($field:ident: $type:ident) => {
            let value = violations.optional(stringify!($field), row.$field, $type::new);
            values.$field = value.map(Some);
        };
    }
    profile_texts!(read);
    values.teams = Some(teams(violations, "teams", row.teams)).filter(|teams| !teams.is_empty());
    values.primary_team = row
        .primary_team
        .and_then(|number| team(violations, "primary_team", number));
    ImportRow {
        origin: Origin { source, external_id },
        values,
        last_seen_at: violations.optional("last_seen_at", row.last_seen_at, moment),
    }
}

/// A member that a server has sent. Since when it has its address is not told: as if since it was linked. None: it is none of this
/// version's.
pub(in crate::rpc) fn received(member: pb::Member) -> Option<Member> {
    let violations = &mut Violations::default();
    macro_rules! read {
        ($field:ident, $new:expr) => {
            violations.optional(stringify!($field), member.$field, $new)
        };
    }
    let created_at = read!(created_at, moment)?;
    let received = Member {
        id: violations.id("id", &member.id)?,
        user_id: violations.id("user_id", &member.user_id)?,
        profile: Profile {
            email: read!(email, Email::new),
            name: read!(name, DisplayName::new),
            avatar_url: read!(avatar_url, AvatarUrl::new),
            portal_role: read!(portal_role, PortalRole::new),
            company_name: read!(company_name, CompanyName::new),
            customer_status: read!(customer_status, CustomerStatus::new),
            locale: read!(locale, Locale::new),
        },
        person: PersonName {
            given_name: read!(given_name, GivenName::new),
            family_name: read!(family_name, FamilyName::new),
        },
        created_at,
        number: MemberNumber(member.number),
        email_since: created_at,
        access: Access {
            role: role(violations, "role", member.role),
            enabled: member.enabled,
            auth_method: auth_method(violations, "auth_method", member.auth_method),
            onboarded: member.onboarded,
        },
        origin: Origin {
            source: violations.check("source", Source::new(member.source))?,
            external_id: read!(external_id, ExternalId::new),
        },
        teams: member.teams.into_iter().map(TeamNumber).collect(),
        primary_team: TeamNumber(member.primary_team),
        updated_at: read!(updated_at, moment)?,
        last_seen_at: read!(last_seen_at, moment),
        revoked_at: read!(revoked_at, moment),
        erased_at: read!(erased_at, moment),
        version: member.etag.parse().ok()?,
    };
    violations.is_empty().then_some(received)
}

pub(super) fn member_ref(
    by: Option<pb::get_member_request::By>,
    violations: &mut Violations,
) -> Option<MemberRef> {
    use pb::get_member_request::By;
    match by {
        Some(By::Id(id)) => violations.id("id", &id).map(MemberRef::Id),
        Some(By::UserId(id)) => violations.id("user_id", &id).map(MemberRef::UserId),
        Some(By::Email(email)) => violations.check("email", Email::new(email)).map(MemberRef::Email),
        Some(By::Number(number)) => Some(MemberRef::Number(MemberNumber(number))),
        Some(By::ExternalId(external)) => {
            let source = violations.check("external_id.source", Source::new(external.source));
            let id = violations.check("external_id.id", ExternalId::new(external.id));
            source
                .zip(id)
                .map(|(source, id)| MemberRef::ExternalId(source, id))
        }
        None => violations.check(
            "by",
            Err("one of id, user_id, email, number and external_id is required"),
        ),
    }
}

/// What a mask names, with the values of the message. Violations are noted; then the patch is not to be used.
pub(super) fn patch(member: pb::Member, mask: Option<FieldMask>, violations: &mut Violations) -> MemberPatch {
    let paths = violations.mask(mask, &MUTABLE);
    let named = |field: &str| paths.iter().any(|path| path == field);
    if named("portal_role")
        && member.portal_role.is_none()
        && named("role")
        && member.role == i32::from(pb::Role::Unspecified)
    {
        violations.add("update_mask", "must not clear both portal_role and role");
    }
    let mut patch = MemberPatch::default();
    macro_rules! read {
        ($field:ident: $type:ident) => {
            if named(stringify!($field)) {
                let field = concat!("member.", stringify!($field));
                patch.$field = violations.check_optional(field, member.$field, $type::new);
            }
        };
    }
    profile_texts!(read);
    if named("role") {
        patch.role = Some(role(violations, "member.role", member.role));
    }
    if named("enabled") {
        patch.enabled = Some(member.enabled);
    }
    if named("onboarded") {
        patch.onboarded = Some(member.onboarded);
    }
    if named("auth_method") {
        patch.auth_method = Some(auth_method(violations, "member.auth_method", member.auth_method));
    }
    if named("external_id") {
        patch.external_id =
            violations.check_optional("member.external_id", member.external_id, ExternalId::new);
    }
    if named("teams") {
        patch.teams = Some(teams(violations, "member.teams", member.teams));
    }
    if named("primary_team") {
        patch.primary_team = team(violations, "member.primary_team", member.primary_team);
    }
    patch
}

/// The version of an etag: `Some(None)` for any, None and a violation for an etag that no member can have, such as another
/// way to write a number that some member has.
#[expect(clippy::option_option, reason = "any and bad are two things")]
pub(super) fn version(etag: &str, violations: &mut Violations) -> Option<Option<i64>> {
    let etag = Some(etag).filter(|etag| !etag.is_empty());
    violations.check_optional("etag", etag, |etag| {
        let version = etag.parse().ok();
        version
            .filter(|version: &i64| *version >= 1 && version.to_string() == etag)
            .ok_or("is no etag of a member")
    })
}

/// A role; None for the unspecified one, and for an unknown one, with a violation.
pub(in crate::rpc) fn role(violations: &mut Violations, field: &str, number: i32) -> Option<Role> {
    match violations.check(field, pb::Role::try_from(number).map_err(|_| "is no role"))? {
        pb::Role::Unspecified => None,
        pb::Role::Owner => Some(Role::Owner),
        pb::Role::Admin => Some(Role::Admin),
        pb::Role::Editor => Some(Role::Editor),
        pb::Role::Viewer => Some(Role::Viewer),
        pb::Role::RestrictedViewer => Some(Role::RestrictedViewer),
    }
}

fn auth_method(violations: &mut Violations, field: &str, number: i32) -> Option<AuthMethod> {
    let method = pb::AuthMethod::try_from(number).map_err(|_| "is no way to sign in");
    match violations.check(field, method)? {
        pb::AuthMethod::Unspecified => None,
        pb::AuthMethod::Password => Some(AuthMethod::Password),
        pb::AuthMethod::Oidc => Some(AuthMethod::Oidc),
    }
}

pub(super) fn team(violations: &mut Violations, field: &str, number: i64) -> Option<TeamNumber> {
    if number < 1 {
        violations.add(field, "must be a team's number, 1 or more");
        return None;
    }
    Some(TeamNumber(number))
}

/// Ascending, each once.
fn teams(violations: &mut Violations, field: &str, numbers: Vec<i64>) -> Vec<TeamNumber> {
    if numbers.len() > MAX_TEAMS {
        violations.add(field, format_args!("must be at most {MAX_TEAMS}"));
        return Vec::new();
    }
    let mut teams: Vec<_> = numbers
        .into_iter()
        .filter_map(|number| team(violations, field, number))
        .collect();
    teams.sort_unstable();
    teams.dedup();
    teams
}
