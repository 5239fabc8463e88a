//! Rules and primitives of passwords, tokens and sessions.

use userbridge::{
    domain::{
        Change, KeyDigest, Member, MemberId, MemberNumber, OrganizationId, PasswordHash, StoredToken,
        Timestamp, TokenKind,
    },
    service::{
        ServiceError,
        rules::{self, NewPassword, RightPassword},
    },
    storage::StoreError,
};

use super::rules::Rules;

impl Rules {
    pub(crate) async fn insert_token(
        &self,
        organization: OrganizationId,
        token: StoredToken,
    ) -> Result<(), StoreError> {
        self.write(
            organization,
            (organization, token),
            |tx, (organization, token)| Box::pin(tx.insert_token(*organization, token)),
        )
        .await
    }

    pub(crate) async fn remove_token(
        &self,
        organization: OrganizationId,
        digest: KeyDigest,
    ) -> Result<(), StoreError> {
        self.write(
            organization,
            (organization, digest),
            |tx, (organization, digest)| Box::pin(tx.remove_token(*organization, *digest)),
        )
        .await
    }

    pub(crate) async fn remove_tokens(
        &self,
        organization: OrganizationId,
        member: MemberNumber,
        kind: TokenKind,
    ) -> Result<(), StoreError> {
        self.write(
            organization,
            (organization, member, kind),
            |tx, (organization, member, kind)| Box::pin(tx.remove_tokens(*organization, *member, *kind)),
        )
        .await
    }

    pub(crate) async fn record_token_use(
        &self,
        organization: OrganizationId,
        digest: KeyDigest,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(
            organization,
            (organization, digest, at),
            |tx, (organization, digest, at)| Box::pin(tx.record_token_use(*organization, *digest, *at)),
        )
        .await
    }

    pub(crate) async fn remove_tokens_over(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(None, (now, limit), |tx, (now, limit)| {
            Box::pin(tx.remove_tokens_over(*now, *limit))
        })
        .await
    }

    pub(crate) async fn save_password(
        &self,
        organization: OrganizationId,
        member: MemberNumber,
        hash: PasswordHash,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let input = (organization, member, hash, at);
        self.write(organization, input, |tx, (organization, member, hash, at)| {
            Box::pin(tx.save_password(*organization, *member, hash, *at))
        })
        .await
    }

    pub(crate) async fn set_password(
        &self,
        organization: OrganizationId,
        new: NewPassword,
        change: Change,
    ) -> Result<(), ServiceError> {
        self.write(
            organization,
            (organization, new, change),
            |tx, (organization, new, change)| Box::pin(rules::set_password(tx, *organization, new, change)),
        )
        .await
    }

    pub(crate) async fn admit_member(
        &self,
        organization: OrganizationId,
        right: RightPassword,
        change: Change,
    ) -> Result<Option<Member>, ServiceError> {
        self.write(
            organization,
            (organization, right, change),
            |tx, (organization, right, change)| {
                Box::pin(rules::admit_member(tx, *organization, right, change))
            },
        )
        .await
    }

    pub(crate) async fn issue_handover_code(
        &self,
        organization: OrganizationId,
        member: MemberId,
        by: Option<KeyDigest>,
        code: StoredToken,
        change: Change,
    ) -> Result<(), ServiceError> {
        let input = (organization, member, by, code, change);
        self.write(
            organization,
            input,
            |tx, (organization, member, by, code, change)| {
                Box::pin(rules::issue_handover_code(
                    tx,
                    *organization,
                    *member,
                    *by,
                    code,
                    change,
                ))
            },
        )
        .await
    }

    pub(crate) async fn create_session(
        &self,
        organization: OrganizationId,
        code: KeyDigest,
        session: StoredToken,
        change: Change,
    ) -> Result<Member, ServiceError> {
        let input = (organization, code, session, change);
        self.write(
            organization,
            input,
            |tx, (organization, code, session, change)| {
                Box::pin(rules::create_session(tx, *organization, *code, session, change))
            },
        )
        .await
    }

    pub(crate) async fn end_session(
        &self,
        organization: OrganizationId,
        session: KeyDigest,
        change: Change,
    ) -> Result<(), ServiceError> {
        self.write(
            organization,
            (organization, session, change),
            |tx, (organization, session, change)| {
                Box::pin(rules::end_session(tx, *organization, *session, change))
            },
        )
        .await
    }
}
