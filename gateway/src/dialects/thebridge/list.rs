//! `GET /account/tenant/user`: everybody, not paged.

use std::io;

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use http::StatusCode;

use super::{
    response::{self, Refusal},
    teams::TeamKeys,
    user::{ROLES, User},
};
use crate::{
    Upstream,
    proto::directory_v1::ListMembersRequest,
    upstream::{Key, UpstreamError},
};

/// A list up to this size, in bytes, is sent as a whole, with its etag. A larger one is sent while it is read, so that
/// it is nowhere in memory as a whole.
const MAX_WHOLE: usize = 1024 * 1024;

/// Members to ask for at once.
const PAGE: i32 = 500;

pub(super) async fn list(upstream: &Upstream, key: Key) -> Result<Response, Refusal> {
    let mut users = Users {
        upstream: upstream.clone(),
        key,
        teams: TeamKeys::default(),
        page_token: String::new(),
        begun: false,
        ended: false,
    };
    let mut text = Vec::new();
    while let Some(more) = users.next().await? {
        text.extend(more);
        if text.len() > MAX_WHOLE && !users.ended {
            return Ok(stream(text, users));
        }
    }
    let text = String::from_utf8(text).map_err(|_| UpstreamError::Internal)?;
    Ok(response::json_text(StatusCode::OK, text))
}

/// The rest comes when the client takes it. An error breaks the body off, so that nobody takes a part for the whole.
fn stream(first: Vec<u8>, users: Users) -> Response {
    let chunks = stream::try_unfold((Some(first), users), async |(first, mut users)| {
        let chunk = match first {
            Some(first) => Some(first),
            None => users.next().await.map_err(|error| {
                tracing::warn!(?error, "a list of users broke off");
                io::Error::other("the directory broke off")
            })?,
        };
        Ok::<_, io::Error>(chunk.map(|chunk| (Bytes::from(chunk), (None, users))))
    });
    response::streamed(Body::from_stream(chunks))
}

/// The list as text, page by page.
struct Users {
    upstream: Upstream,
    key: Key,
    teams: TeamKeys,
    page_token: String,
    begun: bool,
    ended: bool,
}

impl Users {
    /// The next part of the list. None: there is no more.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, UpstreamError> {
        if self.ended {
            return Ok(None);
        }
        let request = ListMembersRequest {
            page_size: PAGE,
            page_token: std::mem::take(&mut self.page_token),
            roles: ROLES.map(i32::from).to_vec(),
            order_by: "created_at".to_owned(),
            ..ListMembersRequest::default()
        };
        let page = self.upstream.list_members(&self.key, request).await?;
        let mut text = Vec::new();
        for member in page.members {
            let teams = self.teams.of(&self.upstream, &self.key, &member.teams).await?;
            let Some(user) = User::of(member, teams) else {
                continue;
            };
            text.push(if self.begun { b',' } else { b'[' });
            self.begun = true;
            serde_json::to_writer(&mut text, &user).map_err(|error| {
                tracing::error!(%error, "a user could not be written");
                UpstreamError::Internal
            })?;
        }
        self.page_token = page.next_page_token;
        if self.page_token.is_empty() {
            self.ended = true;
            text.extend(if self.begun { &b"]"[..] } else { b"[]" });
        }
        Ok(Some(text))
    }
}
