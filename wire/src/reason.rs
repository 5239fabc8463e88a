//! `google.rpc.ErrorInfo.reason`.

#[expect(clippy::pedantic, reason = "generated")]
mod generated {
    tonic::include_proto!("userbridge.errors.v1");
}

pub use self::generated::ErrorReason;

/// What each name in the proto begins with and no reason on the wire does.
const PREFIX: &str = "ERROR_REASON_";

impl ErrorReason {
    /// As it stands in `google.rpc.ErrorInfo`.
    #[must_use]
    pub fn as_wire(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix(PREFIX).unwrap_or(name)
    }

    /// Unspecified: a reason that this version does not know.
    #[must_use]
    pub fn from_wire(reason: &str) -> Self {
        Self::from_str_name(&format!("{PREFIX}{reason}")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients know these, so none is changed or taken away.
    const REASONS: &str = "\
        UNSPECIFIED INVALID_API_KEY SCOPE_REQUIRED DEPLOYMENT_KEY_REQUIRED INVALID_ARGUMENT MESSAGE_TOO_LARGE \
        MALFORMED_MESSAGE CANCELLED ORGANIZATION_NOT_FOUND USER_NOT_FOUND MEMBER_NOT_FOUND TEAM_NOT_FOUND \
        API_KEY_NOT_FOUND SLUG_ALREADY_EXISTS PUBLIC_KEY_ALREADY_EXISTS MEMBER_ALREADY_EXISTS TEAM_ALREADY_EXISTS \
        LAST_OWNER LAST_FACET RETENTION_PASSED MEMBER_ERASED MEMBER_NOT_REVOKED ROOT_TEAM IDEMPOTENCY_KEY_REUSED \
        ETAG_MISMATCH AFTER_SEQUENCE_BEYOND_END OVERLOADED TOO_MANY_WATCHES UNAVAILABLE NOT_READY DRAINING \
        DEADLINE_EXCEEDED UNIMPLEMENTED SERVICE_NOT_FOUND REFUSED INTERNAL \
        INVALID_TOKEN ROLE_REQUIRED TOO_MANY_ATTEMPTS PASSWORD_TOO_COMMON NO_EMAIL RATE_LIMITED \
        TOO_MANY_FAILED_KEYS OUTCOME_UNKNOWN";

    #[test]
    fn every_reason_is_written_as_clients_know_it() {
        let all: Vec<_> = (0..)
            .map_while(|number| ErrorReason::try_from(number).ok())
            .collect();
        let written: Vec<_> = all.iter().map(|reason| reason.as_wire()).collect();
        assert_eq!(written.join(" "), REASONS);
        for reason in all {
            assert_eq!(ErrorReason::from_wire(reason.as_wire()), reason);
        }
    }

    #[test]
    fn a_reason_of_a_later_version_is_unspecified() {
        for unknown in ["", "SOMETHING_NEW", "ERROR_REASON_LAST_OWNER", "last_owner"] {
            assert_eq!(
                ErrorReason::from_wire(unknown),
                ErrorReason::Unspecified,
                "{unknown}"
            );
        }
    }
}
