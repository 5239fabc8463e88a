//! `userbridge.directory.v1.CredentialService`.

use tonic::{Request, Response};

use super::{
    DirectoryCell, Reply, auth, members::member, proto::userbridge::directory::v1 as pb, time::timestamp,
    violations::valid,
};
use crate::{
    domain::{Email, MemberRef, Password},
    service::{Attempt, PasswordLink, Verified},
};

/// The longest name of a source, in characters.
const MAX_SOURCE: usize = 255;

#[tonic::async_trait]
impl pb::credential_service_server::CredentialService for DirectoryCell {
    async fn request_password_reset(
        &self,
        request: Request<pb::RequestPasswordResetRequest>,
    ) -> Reply<pb::RequestPasswordResetResponse> {
        use pb::request_password_reset_request::By;
        let (directory, grant) = self.write(&request).await?;
        let member = valid(|violations| match request.into_inner().by {
            Some(By::MemberId(id)) => violations.id("member_id", &id).map(MemberRef::Id).map(Some),
            // One that no member can have is nobody's.
            Some(By::Email(email)) => Some(Email::new(email).ok().map(MemberRef::Email)),
            None => violations.check("by", Err("one of member_id and email is required")),
        })?;
        if let Some(member) = member {
            directory.request_password_reset(grant, member).await?;
        }
        Ok(Response::new(pb::RequestPasswordResetResponse {}))
    }

    async fn get_password_link(
        &self,
        request: Request<pb::GetPasswordLinkRequest>,
    ) -> Reply<pb::GetPasswordLinkResponse> {
        let link = self.get()?.password_link(auth::caller(&request)?).await?;
        Ok(Response::new(password_link(link)))
    }

    async fn set_password(&self, request: Request<pb::SetPasswordRequest>) -> Reply<pb::SetPasswordResponse> {
        let text = &request.get_ref().password;
        let password = valid(|violations| violations.check("password", Password::new(text)))?;
        self.get()?
            .set_password(auth::caller(&request)?, password)
            .await?;
        Ok(Response::new(pb::SetPasswordResponse {}))
    }

    async fn verify(&self, request: Request<pb::VerifyRequest>) -> Reply<pb::VerifyResponse> {
        use pb::verify_request::By;
        auth::caller(&request)?.require_key()?;
        let (directory, grant) = self.write(&request).await?;
        let pb::VerifyRequest { by, password, source } = request.into_inner();
        let attempt = valid(|violations| {
            if source.chars().nth(MAX_SOURCE).is_some() {
                violations.add(
                    "source",
                    format_args!("must have at most {MAX_SOURCE} characters"),
                );
            }
            match by {
                Some(By::MemberId(id)) => violations.id("member_id", &id).map(Attempt::Member),
                Some(By::Email(email)) => Some(Attempt::Email(email)),
                None => violations.check("by", Err("one of member_id and email is required")),
            }
        })?;
        let source = Some(&*source).filter(|source| !source.is_empty());
        let verified = directory
            .verify_password(grant, attempt, &password, source)
            .await?;
        Ok(Response::new(verify_response(verified)))
    }

    async fn issue_handover_code(
        &self,
        request: Request<pb::IssueHandoverCodeRequest>,
    ) -> Reply<pb::IssueHandoverCodeResponse> {
        let id = &request.get_ref().member_id;
        let issued = if auth::caller(&request)?.presented().token.is_some() {
            valid(|violations| {
                violations.check(
                    "member_id",
                    Some(())
                        .filter(|()| id.is_empty())
                        .ok_or("must be empty with an access token"),
                )
            })?;
            let caller = auth::caller(&request)?;
            self.get()?.issue_own_handover_code(caller).await?
        } else {
            let (directory, grant) = self.write(&request).await?;
            let member = valid(|violations| violations.id("member_id", id))?;
            directory.issue_handover_code(grant, member).await?
        };
        Ok(Response::new(pb::IssueHandoverCodeResponse {
            code: issued.secret.reveal().to_owned(),
            expires_at: Some(timestamp(issued.expires_at)),
        }))
    }
}

fn password_link(link: PasswordLink) -> pb::GetPasswordLinkResponse {
    pb::GetPasswordLinkResponse {
        organization_name: link.organization.brand_name().as_str().to_owned(),
        locale: text(
            link.organization
                .locale_for(link.member.profile.locale.as_ref())
                .cloned(),
        ),
        logo_url: text(link.organization.branding.logo_url),
        min_password_length: length(Password::MIN_CHARS),
        max_password_length: length(Password::MAX_CHARS),
        expires_at: Some(timestamp(link.expires_at)),
    }
}

/// Empty: there is none.
pub(super) fn text<T: Into<String>>(value: Option<T>) -> String {
    value.map(Into::into).unwrap_or_default()
}

fn length(chars: usize) -> i32 {
    i32::try_from(chars).unwrap_or(i32::MAX)
}

fn verify_response(verified: Verified) -> pb::VerifyResponse {
    match verified {
        Verified::Verified {
            member: who,
            access_token,
            expires_at,
        } => pb::VerifyResponse {
            outcome: pb::VerifyOutcome::Verified.into(),
            member: Some(member(who)),
            access_token: access_token.reveal().to_owned(),
            access_token_expires_at: Some(timestamp(expires_at)),
        },
        Verified::Disabled(who) => pb::VerifyResponse {
            outcome: pb::VerifyOutcome::Disabled.into(),
            member: Some(member(who)),
            ..pb::VerifyResponse::default()
        },
        Verified::Denied => pb::VerifyResponse {
            outcome: pb::VerifyOutcome::Denied.into(),
            ..pb::VerifyResponse::default()
        },
    }
}
