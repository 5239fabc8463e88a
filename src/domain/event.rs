//! The event log: what happened to an organization, one row a change.

use std::{fmt, str::FromStr};

use super::{
    ApiKeyId, MemberId, OrganizationId, Source, TeamNumber, Timestamp, UserId, names::names, text::text,
};

/// What stands before the id of a member who made a change.
const MEMBER: &str = "member:";

/// Who made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A caller with this key.
    ApiKey(ApiKeyId),
    /// Somebody on the command line.
    Operator,
    /// The job that erases what was revoked long ago.
    Retention,
    /// The job that sends mails.
    Mail,
    /// The member, in a session or by a link.
    Member(MemberId),
}

/// `operator`, `retention`, `mail`, `member:` and the member's id, or the id of the key. Also how the log stores it.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(id) => id.fmt(f),
            Self::Operator => f.write_str("operator"),
            Self::Retention => f.write_str("retention"),
            Self::Mail => f.write_str("mail"),
            Self::Member(id) => write!(f, "{MEMBER}{id}"),
        }
    }
}

impl FromStr for Actor {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "operator" => Ok(Self::Operator),
            "retention" => Ok(Self::Retention),
            "mail" => Ok(Self::Mail),
            other => match other.strip_prefix(MEMBER) {
                Some(id) => id.parse().map(Self::Member),
                None => other.parse().map(Self::ApiKey),
            },
        }
    }
}

text! {
    /// Whom the certificate names that a caller has beside its key.
    ClientIdentity, max 255
}

names! {
    /// What happened.
    EventKind, "unknown kind of event",
    /// An organization was made.
    OrganizationCreated = "organization.created",
    /// An organization was changed.
    OrganizationUpdated = "organization.updated",
    /// An organization was deleted; its keys are dead from then on.
    OrganizationDeleted = "organization.deleted",
    /// A key was made.
    ApiKeyCreated = "api_key.created",
    /// A key got a successor; it may live on for a stated time.
    ApiKeyRotated = "api_key.rotated",
    /// A key was revoked.
    ApiKeyRevoked = "api_key.revoked",
    /// A user was linked to the organization.
    MemberLinked = "member.linked",
    /// A member was changed.
    MemberUpdated = "member.updated",
    /// A member's link was revoked.
    MemberRevoked = "member.revoked",
    /// A revoked member was made live again.
    MemberRestored = "member.restored",
    /// A member's personal data was removed.
    MemberErased = "member.erased",
    /// A team was made.
    TeamCreated = "team.created",
    /// A team got another name.
    TeamRenamed = "team.renamed",
    /// A team was removed.
    TeamDeleted = "team.deleted",
    /// A link to set a new password was asked for.
    CredentialResetRequested = "credential.reset_requested",
    /// The mail server took a mail.
    MailSent = "mail.sent",
    /// A mail was given up.
    MailFailed = "mail.failed",
    /// A member has set its password.
    PasswordSet = "credential.password_set",
    /// A member has opened a session on the hosted pages.
    SessionCreated = "session.created",
    /// A member has ended its session.
    SessionEnded = "session.ended",
}

/// One row of the log. It names the fields that changed, never their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the organization's log: 1 and up, without gaps, in the order of the changes.
    pub sequence: i64,
    /// Whose log it is in. None: that of the deployment.
    pub organization_id: Option<OrganizationId>,
    pub kind: EventKind,
    /// The member it happened to, if it did to one.
    pub member_id: Option<MemberId>,
    /// The user it happened to, if it did to one.
    pub user_id: Option<UserId>,
    /// The key it happened to, if it did to one.
    pub api_key_id: Option<ApiKeyId>,
    /// The team it happened to, if it did to one.
    pub team: Option<TeamNumber>,
    pub actor: Actor,
    /// Whom the actor's certificate names, if it has shown one.
    pub client: Option<ClientIdentity>,
    /// What the change came from, if that was said.
    pub source: Option<Source>,
    pub at: Timestamp,
    /// Names of the fields that have another value than before.
    pub fields: Vec<String>,
}

/// The names of the fields that have changed.
pub(super) fn changed<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    let fields = fields.into_iter();
    fields
        .filter_map(|(field, changed)| changed.then_some(field))
        .collect()
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub actor: Actor,
    /// Whom its certificate names, if it has shown one.
    pub client: Option<ClientIdentity>,
}

impl From<Actor> for Author {
    fn from(actor: Actor) -> Self {
        Self { actor, client: None }
    }
}

/// Who does something, when, and what for: what the event log says of every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub actor: Actor,
    /// Whom the actor's certificate names, if it has shown one.
    pub client: Option<ClientIdentity>,
    /// When. It is also the time that the changed row gets.
    pub at: Timestamp,
    /// What it came from, if that was said.
    pub source: Option<Source>,
}

/// What a change happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Organization,
    ApiKey(ApiKeyId),
    Member(MemberId, UserId),
    Team(TeamNumber),
}

/// Which events to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Those after this one in their order; 0 for all, from where the order begins.
    pub after: i64,
    /// The newest first.
    pub descending: bool,
    /// The most events to return.
    pub limit: u32,
    /// Only those of this user.
    pub user: Option<UserId>,
    /// Only these kinds. Empty: all.
    pub kinds: Vec<EventKind>,
}
