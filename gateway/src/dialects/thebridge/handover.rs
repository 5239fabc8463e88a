//! `POST /auth/handover/code/:APP_ID`: a code for the hosted pages. There is one app, so its id is not looked at.

use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    TheBridge,
    input::Input,
    response::{self, Reason, Refusal},
    rules,
};
use crate::upstream::{Key, Resource, UpstreamError};

/// For the hosted pages: good once, within 60 seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = thebridge::Code)]
pub(super) struct Code {
    pub(super) code: String,
}

pub(super) async fn issue(bridge: &TheBridge, input: &Input) -> Result<Response, Refusal> {
    let token = rules::handover(input).map_err(Refusal::Invalid)?;
    let token = Key::new(&token).ok_or(Reason::NoToken)?;
    match bridge.upstream.issue_handover_code(&token).await {
        Ok(code) => Ok(response::json(StatusCode::OK, &Code { code })),
        // It is no token, or a bad one. An API key speaks for nobody, whatever it may do.
        Err(
            UpstreamError::InvalidToken
            | UpstreamError::Unauthenticated
            | UpstreamError::InvalidArgument
            | UpstreamError::PermissionDenied
            | UpstreamError::NotFound(Resource::Organization),
        ) => Err(Reason::NoToken.into()),
        Err(error) => Err(error.into()),
    }
}
