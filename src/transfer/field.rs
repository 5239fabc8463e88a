//! What a file can say of a member.

use crate::domain::names::names;

names! {
    /// A value of a member, by the name of its column in our own files.
    Field,
    "must be one of email, name, given_name, family_name, avatar_url, portal_role, company_name, customer_status, \
     locale, role, enabled, auth_method, onboarded, source, external_id, teams, primary_team, last_seen_at",
    Email = "email",
    Name = "name",
    GivenName = "given_name",
    FamilyName = "family_name",
    AvatarUrl = "avatar_url",
    PortalRole = "portal_role",
    CompanyName = "company_name",
    CustomerStatus = "customer_status",
    /// A language tag.
    Locale = "locale",
    /// Of staff, in either letter case.
    Role = "role",
    /// `true` or `false`.
    Enabled = "enabled",
    AuthMethod = "auth_method",
    /// `true` or `false`.
    Onboarded = "onboarded",
    Source = "source",
    /// The source's own id: text, or in JSON a whole number.
    ExternalId = "external_id",
    /// Numbers of teams: separated by spaces in CSV, an array in JSON.
    Teams = "teams",
    /// The number of a team.
    PrimaryTeam = "primary_team",
    /// A time.
    LastSeenAt = "last_seen_at",
}
