//! Linking: find the live link that is there, or make one.

use super::{addresses::user_of, change::save};
use crate::{
    domain::{
        Access, Change, Conflict, EventKind, Idempotency, Idempotent, LinkOutcome, LinkRequest, Linked,
        MailId, MailKind, Member, MemberId, MemberNumber, MemberPatch, MemberRef, OrganizationId, Origin,
        PersonName, Profile, Resource, Subject, TeamNumber, Timestamp, UserId,
    },
    service::{
        Directory, Result, Write,
        acting::may_change,
        mails::queue_mail,
        rules::{Transaction, live_organization, team, write_once},
    },
};

/// What is new if a link is.
#[derive(Clone, Copy, Debug)]
pub struct NewIds {
    /// The link's.
    pub member: MemberId,
    /// The user's, if that is new as well.
    pub user: UserId,
    /// The welcome's, if one is sent.
    pub mail: MailId,
}

impl Directory {
    pub(super) fn new_ids(&self, at: Timestamp) -> Result<NewIds> {
        Ok(NewIds {
            member: MemberId::new(at, &*self.random)?,
            user: UserId::new(&*self.random)?,
            mail: MailId::new(at, &*self.random)?,
        })
    }

    /// Links a user to an organization, or finds and updates the live link that is there: by `user_id`, else by source and
    /// external id, else by address.
    ///
    /// Without a link and without `user_id`, the address leads to a user: to the one who has it on a live link, of several
    /// to the one whose link has had it longest; else to the one who had it last, unless that one has a live link
    /// under another address. A user who has a live link here already is not linked again. Then, and where there is no
    /// such user, a new one is linked.
    ///
    /// # Errors
    ///
    /// [`Resource::Organization`]. [`Resource::User`]: no user has `user_id`. [`Resource::Team`].
    /// [`Conflict::Member`]: another live member has the user, the address or the external id; or it has a role,
    /// and only one without is to be linked. [`crate::domain::Precondition::LastOwner`].
    /// [`crate::domain::Precondition::IdempotencyKeyReused`]. [`crate::domain::Precondition::MemberErased`]: it is a
    /// repetition, and the member that it linked was erased since.
    pub async fn link_member(
        &self,
        grant: Write,
        request: LinkRequest,
        idempotency: Idempotency<Linked>,
    ) -> Result<Idempotent<Linked>> {
        let organization = grant.organization;
        let change = self.change_from(grant.author, Some(request.origin.source.clone()));
        let new = self.new_ids(change.at)?;
        let welcomes = request.send_onboarding_mail;
        let (at, input) = (change.at, (organization, request, new, change));
        let linked = write_once(
            &*self.storage,
            Some(organization),
            idempotency,
            at,
            input,
            |tx, (organization, request, new, change)| {
                Box::pin(link_member(tx, *organization, request, *new, change))
            },
        )
        .await?;
        if welcomes {
            self.mail_queued.notify_one();
        }
        Ok(linked)
    }
}

/// The rule of [`Directory::link_member`].
///
/// # Errors
///
/// As there.
pub async fn link_member(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    request: &LinkRequest,
    new: NewIds,
    change: &Change,
) -> Result<Linked> {
    let mut request = request.clone();
    let existing = existing(tx, organization, &request).await?;
    if request.staff && request.values.role.flatten().is_none() {
        let role = match existing.as_ref().and_then(|member| member.access.role) {
            Some(role) => role,
            None => live_organization(tx, organization).await?.default_role,
        };
        request.values.role = Some(Some(role));
    }
    let was_staff = existing
        .as_ref()
        .is_some_and(|member| member.access.role.is_some());
    let welcomes = request.send_onboarding_mail && !was_staff;
    let linked = match existing {
        Some(_) if request.only_without_role && was_staff => return Err(Conflict::Member.into()),
        Some(member) => refresh(tx, organization, member, request, change).await?,
        None => create(tx, organization, request, new, change).await?,
    };
    let member = &linked.member;
    if welcomes && member.access.role.is_some() && member.profile.email.is_some() {
        queue_mail(
            tx,
            organization,
            member,
            MailKind::Onboarding,
            new.mail,
            change.at,
        )
        .await?;
    }
    Ok(linked)
}

async fn existing(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    request: &LinkRequest,
) -> Result<Option<Member>> {
    let by_user = request.user_id.map(MemberRef::UserId);
    let external_id = request.origin.external_id.clone();
    let by_external_id = external_id.map(|id| MemberRef::ExternalId(request.origin.source.clone(), id));
    let by_email = request.values.email.clone().flatten().map(MemberRef::Email);
    for reference in [by_user, by_external_id, by_email].into_iter().flatten() {
        let found = tx.stored_member(organization, &reference).await?;
        // A link of another user than the one who is named is no link of this user.
        let found = found.filter(|member| request.user_id.is_none_or(|user| user == member.user_id));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn refresh(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    before: Member,
    request: LinkRequest,
    change: &Change,
) -> Result<Linked> {
    let after = refreshed(&before, request.origin, request.values);
    if after == before {
        return Ok(Linked {
            member: after,
            outcome: LinkOutcome::Unchanged,
        });
    }
    let (member, _) = save(tx, organization, &before, after, EventKind::MemberUpdated, change).await?;
    Ok(Linked {
        member,
        outcome: LinkOutcome::Updated,
    })
}

/// What a link that is there comes to.
pub(super) fn refreshed(before: &Member, origin: Origin, values: MemberPatch) -> Member {
    let mut after = before.clone();
    values.or_end_user(&after).apply(&mut after);
    // The source of a member is what linked it first, and its external id means nothing without it. So a source alone
    // changes nothing; an external id replaces one of the same source; and a member without any takes both.
    let same_source = origin.source == after.origin.source;
    if origin.external_id.is_some() && (same_source || after.origin.external_id.is_none()) {
        after.origin = origin;
    }
    after
}

/// What a new link comes to.
pub(super) fn fresh(
    new: NewIds,
    number: MemberNumber,
    at: Timestamp,
    origin: Origin,
    values: MemberPatch,
) -> Member {
    let mut member = Member {
        id: new.member,
        user_id: new.user,
        profile: Profile::default(),
        person: PersonName::default(),
        created_at: at,
        number,
        email_since: at,
        access: Access::default(),
        origin,
        teams: Vec::new(),
        primary_team: TeamNumber::ROOT,
        updated_at: at,
        last_seen_at: None,
        revoked_at: None,
        erased_at: None,
        version: 1,
    };
    values.or_end_user(&member).apply(&mut member);
    member
}

async fn create(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    request: LinkRequest,
    new: NewIds,
    change: &Change,
) -> Result<Linked> {
    live_organization(tx, organization).await?;
    let user = user_to_link(tx, organization, &request, new.user).await?;
    let number = tx.next_member_numbers(organization, 1).await?;
    let new = NewIds { user, ..new };
    let member = fresh(new, number, change.at, request.origin, request.values);
    may_change(tx, organization, change, &[&member]).await?;
    if member.primary_team != TeamNumber::ROOT {
        team(tx, organization, member.primary_team).await?;
    }
    for number in &member.teams {
        team(tx, organization, *number).await?;
    }
    tx.insert_member(organization, &member).await?;
    let (kind, subject) = (EventKind::MemberLinked, Subject::Member(member.id, user));
    let fields = Member::changes(None, &member);
    tx.append_event(Some(organization), kind, subject, &fields, change)
        .await?;
    Ok(Linked {
        member,
        outcome: LinkOutcome::Created,
    })
}

/// The user to link: the one who is named, the one whom the address leads to, or a new one.
async fn user_to_link(
    tx: &mut dyn Transaction,
    organization: OrganizationId,
    request: &LinkRequest,
    new: UserId,
) -> Result<UserId> {
    if let Some(user) = request.user_id {
        return if tx.user_exists(user).await? {
            Ok(user)
        } else {
            Err(Resource::User.into())
        };
    }
    match request.values.email.as_ref().and_then(Option::as_ref) {
        Some(email) => Ok(user_of(tx, organization, email).await?.unwrap_or(new)),
        None => Ok(new),
    }
}
