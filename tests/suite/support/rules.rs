//! Every rule, on the storage of a case, with the time, the actor and the ids that the case says.

use std::{ops::Deref, sync::Arc};

use userbridge::{
    domain::{
        ApiKey, ApiKeyId, Change, Erasure, Idempotency, Idempotent, KeyDigest, LinkRequest, Linked, MailId,
        Member, MemberId, MemberPatch, MemberRef, Organization, OrganizationId, OrganizationPatch, Origin,
        RESPONSE_KEPT, Team, TeamName, TeamNumber, TeamSlug, Timestamp, UserId,
    },
    service::{
        Expiry, ServiceError,
        rules::{self, NewIds, Successor, TeamSet},
    },
    storage::{Storage, StoreError},
};

use super::RANDOM;

/// A storage on which rules are run. It derefs to the storage itself.
#[derive(Clone)]
pub(crate) struct Rules(pub(crate) Arc<dyn Storage>);

impl Deref for Rules {
    type Target = dyn Storage;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A key that is not stored.
#[derive(Clone, Debug)]
pub(crate) struct NewApiKey {
    /// All but its secret. The organization that it is made in counts, not this one's.
    pub key: ApiKey,
    /// What it is found by.
    pub digest: KeyDigest,
}

/// A link that is not stored.
#[derive(Clone, Debug)]
pub(crate) struct LinkMember {
    /// The id that a new link gets.
    pub id: MemberId,
    /// The id that a new user gets.
    pub new_user_id: UserId,
    /// As in a [`LinkRequest`].
    pub user_id: Option<UserId>,
    /// As in a [`LinkRequest`].
    pub origin: Origin,
    /// As in a [`LinkRequest`].
    pub values: MemberPatch,
    /// As in a [`LinkRequest`].
    pub only_without_role: bool,
    /// As in a [`LinkRequest`].
    pub staff: bool,
    /// As in a [`LinkRequest`].
    pub send_onboarding_mail: bool,
}

/// Whether what was to end was there.
fn ended(result: Result<(), ServiceError>) -> Result<bool, ServiceError> {
    match result {
        Ok(()) => Ok(true),
        Err(ServiceError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Rules {
    pub(crate) async fn create_organization(
        &self,
        organization: Organization,
        once: Idempotency<Organization>,
        change: Change,
    ) -> Result<Idempotent<Organization>, ServiceError> {
        let (at, input) = (change.at, (organization, change));
        rules::write_once(&*self.0, None, once, at, input, |tx, (organization, change)| {
            Box::pin(rules::create_organization(tx, organization, change))
        })
        .await
    }

    pub(crate) async fn update_organization(
        &self,
        organization: OrganizationId,
        patch: OrganizationPatch,
        change: Change,
    ) -> Result<Organization, ServiceError> {
        self.write(
            organization,
            (organization, patch, change),
            |tx, (organization, patch, change)| {
                Box::pin(rules::update_organization(tx, *organization, patch, change))
            },
        )
        .await
    }

    pub(crate) async fn delete_organization(
        &self,
        organization: OrganizationId,
        change: Change,
    ) -> Result<bool, ServiceError> {
        let deleted = self.write(
            organization,
            (organization, change),
            |tx, (organization, change)| Box::pin(rules::delete_organization(tx, *organization, change)),
        );
        ended(deleted.await)
    }

    pub(crate) async fn create_api_key(
        &self,
        organization: Option<OrganizationId>,
        new: NewApiKey,
        once: Idempotency<ApiKey>,
        change: Change,
    ) -> Result<Idempotent<ApiKey>, ServiceError> {
        let key = ApiKey {
            organization_id: organization,
            ..new.key
        };
        let (at, input) = (change.at, (key, new.digest, change));
        rules::write_once(
            &*self.0,
            organization,
            once,
            at,
            input,
            |tx, (key, digest, change)| Box::pin(rules::create_api_key(tx, key, *digest, change)),
        )
        .await
    }

    pub(crate) async fn rotate_api_key(
        &self,
        organization: Option<OrganizationId>,
        old: ApiKeyId,
        old_expires_at: Timestamp,
        new: NewApiKey,
        once: Idempotency<ApiKey>,
        change: Change,
    ) -> Result<Idempotent<ApiKey>, ServiceError> {
        let successor = Successor {
            id: new.key.id,
            hint: new.key.hint,
            digest: new.digest,
            expiry: new.key.expires_at.map_or(Expiry::Never, Expiry::At),
            old_expires_at,
        };
        let (at, input) = (change.at, (organization, old, successor, change));
        rules::write_once(
            &*self.0,
            organization,
            once,
            at,
            input,
            |tx, (organization, old, new, change)| {
                Box::pin(rules::rotate_api_key(tx, *organization, *old, new, change))
            },
        )
        .await
    }

    pub(crate) async fn revoke_api_key(
        &self,
        organization: Option<OrganizationId>,
        key: ApiKeyId,
        change: Change,
    ) -> Result<bool, ServiceError> {
        let revoked = self.write(
            organization,
            (organization, key, change),
            |tx, (organization, key, change)| {
                Box::pin(rules::revoke_api_key(tx, *organization, *key, change))
            },
        );
        ended(revoked.await)
    }

    pub(crate) async fn record_key_use(
        &self,
        uses: Vec<(Option<OrganizationId>, ApiKeyId, Timestamp)>,
    ) -> Result<(), StoreError> {
        self.write(None, uses, |tx, uses| {
            Box::pin(async move {
                for (organization, key, at) in uses {
                    tx.record_key_use(*organization, *key, *at, *at).await?;
                }
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn link_member(
        &self,
        organization: OrganizationId,
        link: LinkMember,
        once: Idempotency<Linked>,
        change: Change,
    ) -> Result<Idempotent<Linked>, ServiceError> {
        let new = NewIds {
            member: link.id,
            user: link.new_user_id,
            mail: MailId::new(change.at, RANDOM).unwrap(),
        };
        let request = LinkRequest {
            user_id: link.user_id,
            origin: link.origin,
            values: link.values,
            only_without_role: link.only_without_role,
            staff: link.staff,
            send_onboarding_mail: link.send_onboarding_mail,
        };
        let (at, input) = (change.at, (organization, request, new, change));
        rules::write_once(
            &*self.0,
            Some(organization),
            once,
            at,
            input,
            |tx, (organization, request, new, change)| {
                Box::pin(rules::link_member(tx, *organization, request, *new, change))
            },
        )
        .await
    }

    pub(crate) async fn member(
        &self,
        organization: OrganizationId,
        member: MemberRef,
        include_revoked: bool,
    ) -> Result<Option<Member>, StoreError> {
        let found = self.0.member(organization, &member).await?;
        Ok(found.filter(|found| include_revoked || found.is_live()))
    }

    pub(crate) async fn update_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        patch: MemberPatch,
        version: Option<i64>,
        change: Change,
    ) -> Result<Member, ServiceError> {
        let input = (organization, member, patch, version, change);
        self.write(
            organization,
            input,
            |tx, (organization, member, patch, version, change)| {
                Box::pin(rules::update_member(
                    tx,
                    *organization,
                    *member,
                    patch,
                    *version,
                    change,
                ))
            },
        )
        .await
    }

    pub(crate) async fn revoke_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        version: Option<i64>,
        change: Change,
    ) -> Result<Member, ServiceError> {
        let input = (organization, member, version, change);
        self.write(
            organization,
            input,
            |tx, (organization, member, version, change)| {
                Box::pin(rules::revoke_member(tx, *organization, *member, *version, change))
            },
        )
        .await
    }

    pub(crate) async fn restore_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        change: Change,
    ) -> Result<Member, ServiceError> {
        self.write(
            organization,
            (organization, member, change),
            |tx, (organization, member, change)| {
                Box::pin(rules::restore_member(tx, *organization, *member, change))
            },
        )
        .await
    }

    pub(crate) async fn erase_member(
        &self,
        organization: OrganizationId,
        member: MemberId,
        change: Change,
    ) -> Result<Erasure, ServiceError> {
        let erased = self.write(
            organization,
            (organization, member, change),
            |tx, (organization, member, change)| {
                Box::pin(rules::erase_member(tx, *organization, *member, change))
            },
        );
        let erased = erased.await?;
        self.purge().await;
        Ok(erased)
    }

    pub(crate) async fn record_seen(
        &self,
        seen: Vec<(OrganizationId, MemberId, Timestamp)>,
    ) -> Result<(), StoreError> {
        self.write(None, seen, |tx, seen| {
            Box::pin(async move {
                for (organization, member, at) in seen {
                    tx.record_seen(*organization, *member, *at, *at).await?;
                }
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn create_team(
        &self,
        organization: OrganizationId,
        slug: TeamSlug,
        name: TeamName,
        once: Idempotency<Team>,
        change: Change,
    ) -> Result<Idempotent<Team>, ServiceError> {
        let (at, input) = (change.at, (organization, slug, name, change));
        rules::write_once(
            &*self.0,
            Some(organization),
            once,
            at,
            input,
            |tx, (organization, slug, name, change)| {
                Box::pin(rules::create_team(tx, *organization, slug, name, change))
            },
        )
        .await
    }

    pub(crate) async fn rename_team(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        name: TeamName,
        change: Change,
    ) -> Result<Team, ServiceError> {
        self.write(
            organization,
            (organization, team, name, change),
            |tx, (organization, team, name, change)| {
                Box::pin(rules::rename_team(tx, *organization, *team, name, change))
            },
        )
        .await
    }

    pub(crate) async fn delete_team(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        change: Change,
    ) -> Result<(), ServiceError> {
        self.write(
            organization,
            (organization, team, change),
            |tx, (organization, team, change)| {
                Box::pin(async move {
                    let gone = rules::delete_team(tx, *organization, *team, change, usize::MAX).await?;
                    assert!(gone);
                    Ok(())
                })
            },
        )
        .await
    }

    pub(crate) async fn set_team_members(
        &self,
        organization: OrganizationId,
        team: TeamNumber,
        members: Vec<MemberId>,
        change: Change,
    ) -> Result<(usize, usize), ServiceError> {
        let input = (organization, team, members.into_iter().collect(), change);
        self.write(
            organization,
            input,
            |tx, (organization, team, members, change)| {
                Box::pin(async move {
                    let most = i32::MAX as usize;
                    match rules::set_team_members(tx, *organization, *team, members, change, most).await? {
                        TeamSet::Whole { added, removed } => Ok((added, removed)),
                        fewer @ TeamSet::Fewer(_) => panic!("{fewer:?}"),
                    }
                })
            },
        )
        .await
    }

    /// Removes responses that are not given again any more, at most `limit`.
    pub(crate) async fn remove_responses(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let kept = i64::try_from(RESPONSE_KEPT.as_millis()).unwrap();
        let until = Timestamp::from_millis(now.as_millis() - kept);
        self.write(None, (until, limit), |tx, (until, limit)| {
            Box::pin(tx.remove_responses(*until, *limit))
        })
        .await
    }
}
