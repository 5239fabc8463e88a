//! What describes many members, changed at once.

use super::{super::columns::Statement, search};
use crate::domain::{
    AvatarUrl, CompanyName, CustomerStatus, DisplayName, ExternalId, FamilyName, GivenName, Locale, Member,
    OrganizationId, Timestamp,
};

/// Replaces it by what it is after a change, of each before and after.
pub(super) fn update(organization: OrganizationId, members: &[(Member, Member)]) -> Statement<'_> {
    let after = || members.iter().map(|(_, after)| after);
    let texts = |of: for<'m> fn(&'m Member) -> Option<&'m str>| after().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Member) -> Option<i64>| after().map(of).collect::<Vec<_>>();
    sqlx::query(
        "UPDATE members AS m SET
                 version = d.version, updated_at = d.updated_at, last_seen_at = d.last_seen_at,
                 name = d.name, folded_name = d.folded_name,
                 given_name = d.given_name, family_name = d.family_name,
                 avatar_url = d.avatar_url, company_name = d.company_name,
                 customer_status = d.customer_status, locale = d.locale,
                 source = d.source, external_id = d.external_id
             FROM unnest(
                 $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                 $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                 $11::text[], $12::text[], $13::text[], $14::text[], $15::text[]
             ) AS d (
                 number, version, updated_at, last_seen_at,
                 name, folded_name, given_name, family_name, avatar_url,
                 company_name, customer_status, locale, source, external_id
             )
             WHERE m.organization_id = $1 AND m.number = d.number",
    )
    .bind(organization)
    .bind(numbers(|member| Some(member.number.0)))
    .bind(numbers(|member| Some(member.version)))
    .bind(numbers(|member| Some(member.updated_at.as_millis())))
    .bind(numbers(|member| member.last_seen_at.map(Timestamp::as_millis)))
    .bind(texts(|member| {
        member.profile.name.as_ref().map(DisplayName::as_str)
    }))
    .bind(after().map(search::folded_name).collect::<Vec<_>>())
    .bind(texts(|member| {
        member.person.given_name.as_ref().map(GivenName::as_str)
    }))
    .bind(texts(|member| {
        member.person.family_name.as_ref().map(FamilyName::as_str)
    }))
    .bind(texts(|member| {
        member.profile.avatar_url.as_ref().map(AvatarUrl::as_str)
    }))
    .bind(texts(|member| {
        member.profile.company_name.as_ref().map(CompanyName::as_str)
    }))
    .bind(texts(|member| {
        member
            .profile
            .customer_status
            .as_ref()
            .map(CustomerStatus::as_str)
    }))
    .bind(texts(|member| member.profile.locale.as_ref().map(Locale::as_str)))
    .bind(texts(|member| Some(member.origin.source.as_str())))
    .bind(texts(|member| {
        member.origin.external_id.as_ref().map(ExternalId::as_str)
    }))
}
