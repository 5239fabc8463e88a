//! Why there is no page of the kind that was asked for, as a page.

use std::time::Duration;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{page, session};
use crate::{body::BodyError, response::retry_after, upstream::UpstreamError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// There is no session, or it is over.
    SignedOut,
    /// The code was used before, is over or never was.
    BadCode,
    /// The visitor's role does not reach that far.
    RoleRequired,
    /// There is no such page or member.
    NotFound,
    /// Nothing to be read is here, only a form's way.
    MethodNotAllowed,
    /// A form that did not come from a page of this session.
    Forged,
    /// A form with values that no page of ours sends.
    Invalid,
    TooLarge,
    TooSlow,
    /// Too much at once.
    Busy(Duration),
    Unavailable(Duration),
    /// It took too long. What was asked for may have happened.
    Late,
    Internal,
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        match error {
            // A key is no session, whatever it opens elsewhere.
            UpstreamError::Unauthenticated | UpstreamError::InvalidToken => Self::SignedOut,
            UpstreamError::PermissionDenied | UpstreamError::RoleRequired => Self::RoleRequired,
            UpstreamError::NotFound(_) => Self::NotFound,
            UpstreamError::InvalidArgument => Self::Invalid,
            UpstreamError::RateLimited(wait) | UpstreamError::TooManyAttempts(wait) => Self::Busy(wait),
            UpstreamError::Unavailable(wait) => Self::Unavailable(wait),
            UpstreamError::OutcomeUnknown(_) | UpstreamError::DeadlineExceeded => Self::Late,
            // The handlers have answered those that they expect.
            UpstreamError::AlreadyExists(_)
            | UpstreamError::FailedPrecondition(_)
            | UpstreamError::Changed
            | UpstreamError::Internal => {
                tracing::error!(?error, "a page failed");
                Self::Internal
            }
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TooSlow | BodyError::BrokenOff => Self::TooSlow,
            BodyError::Overloaded => UpstreamError::OVERLOADED.into(),
        }
    }
}

#[derive(Template)]
#[template(path = "portal/problem.html")]
struct ProblemPage {
    title: &'static str,
    text: &'static str,
    /// Whether the list of people may be what the visitor wants instead.
    to_people: bool,
}

impl Problem {
    const fn status(self) -> StatusCode {
        match self {
            Self::SignedOut | Self::BadCode => StatusCode::UNAUTHORIZED,
            Self::RoleRequired | Self::Forged => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedOut => (
                "You are signed out",
                "Your session has ended. Go back to your application and open this page from there again.",
            ),
            Self::BadCode => (
                "This link has been used",
                "It opens this page once, and only for a minute. Go back to your application and open the page from \
                 there again.",
            ),
            Self::RoleRequired => (
                "Your role does not allow this",
                "Only an owner can change an owner, or make somebody one. Nothing was changed.",
            ),
            Self::NotFound => (
                "Nothing is here",
                "This page or person does not exist, or not any more.",
            ),
            Self::MethodNotAllowed => (
                "This is no page",
                "Only a button leads here. Open the page with that button and use it there.",
            ),
            Self::Forged => (
                "This form is out of date",
                "You have signed in again since you opened it, or it came from another site. Nothing was changed. \
                 Open the page anew and try once more.",
            ),
            Self::Invalid => (
                "That did not make sense",
                "A value in this request is not valid. Nothing was changed.",
            ),
            Self::TooLarge => (
                "That is too much",
                "The form has more text than can be taken. Nothing was changed.",
            ),
            Self::TooSlow => (
                "That took too long",
                "The form did not arrive completely. Nothing was changed. Try again.",
            ),
            Self::Busy(_) => (
                "Too much at once",
                "The directory is busy. Nothing was changed. Wait a moment and try again.",
            ),
            Self::Unavailable(_) => (
                "The directory can\u{2019}t be reached",
                "This will pass. Nothing was changed. Wait a moment and try again.",
            ),
            Self::Late => (
                "That took too long",
                "The directory did not answer. If you were changing something, see whether it happened before \
                 you try again.",
            ),
            Self::Internal => (
                "Something went wrong",
                "This is not your fault. Whoever runs this service finds more in its log.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (title, text) = self.words();
        let signed_out = matches!(self, Self::SignedOut | Self::BadCode);
        let problem = ProblemPage {
            title,
            text,
            to_people: !signed_out,
        };
        let response = page::page(self.status(), &problem);
        match self {
            Self::SignedOut => session::without_cookie(response),
            Self::Busy(wait) | Self::Unavailable(wait) => retry_after(response, wait),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_happened_is_not_said_not_to_have() {
        let wait = Duration::from_secs(1);
        let nothing_changed = |error| Problem::from(error).words().1.contains("Nothing was changed");
        assert!(nothing_changed(UpstreamError::Unavailable(wait)));
        for error in [
            UpstreamError::OutcomeUnknown(wait),
            UpstreamError::DeadlineExceeded,
            UpstreamError::Internal,
        ] {
            assert!(!nothing_changed(error), "{error:?}");
        }
    }
}
