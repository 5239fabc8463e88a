//! The other end: what `userbridge import --server` and `userbridge export --server` call.

use std::error::Error as _;

use futures_util::{Stream, stream};
use http::uri::PathAndQuery;
use prost::Message;
use thiserror::Error;
use tokio::sync::mpsc;
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use userbridge_wire::SmallCodec;

use super::MAX_ROWS;
use crate::{
    domain::{ImportRow, Member, OrganizationId},
    rpc::{LARGEST_MESSAGE, members, proto::userbridge::directory::v1 as pb, time::timestamp},
};

/// The most that a row takes beside its own bytes: the number of its field, and its length.
const FRAME: usize = 8;

const IMPORT: &str = "/userbridge.directory.v1.TransferService/ImportMembers";
const EXPORT: &str = "/userbridge.directory.v1.TransferService/ExportMembers";

/// Calls of one organization on a server.
pub struct TransferClient {
    channel: Channel,
    key: MetadataValue<Ascii>,
    organization: Option<OrganizationId>,
}

/// An export from a server, while it lasts.
pub struct ExportClient(Streaming<pb::ExportMembersResponse>);

/// An import into a server, while it lasts.
pub struct ImportClient {
    messages: mpsc::Sender<pb::ImportMembersRequest>,
    answers: Streaming<pb::ImportMembersResponse>,
    validate_only: bool,
}

/// What became of a row there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportAnswer {
    Created,
    Updated,
    Unchanged,
    /// Names of fields, empty for the row as a whole, and what is wrong with them.
    Rejected(Vec<(String, String)>),
}

/// Why a call has ended before its end.
#[derive(Debug, Error)]
pub enum TransferClientError {
    /// The key can't be sent.
    #[error("the key has characters that no key has")]
    Key,
    #[error("the server can't be reached")]
    Unreachable(#[source] tonic::transport::Error),
    /// It said nothing more, and this is why.
    #[error("the connection to the server broke: {0}")]
    Broken(String),
    /// It answered so.
    #[error("the server answered: {} ({})", .0.message(), .0.code())]
    Refused(Box<Status>),
    /// It answered otherwise than it should.
    #[error("the server does not answer as this version does")]
    Odd,
}

impl From<Status> for TransferClientError {
    fn from(status: Status) -> Self {
        // What the server says has no cause here.
        let Some(mut cause) = status.source() else {
            return Self::Refused(Box::new(status));
        };
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Broken(cause.to_string())
    }
}

impl TransferClient {
    /// Calls with this key, of the organization that is named unless the key is one of it.
    ///
    /// # Errors
    ///
    /// The key can't be sent.
    pub fn new(
        channel: Channel,
        key: &str,
        organization: Option<OrganizationId>,
    ) -> Result<Self, TransferClientError> {
        let mut key: MetadataValue<_> = format!("Bearer {key}")
            .parse()
            .map_err(|_| TransferClientError::Key)?;
        key.set_sensitive(true);
        Ok(Self {
            channel,
            key,
            organization,
        })
    }

    /// Begins an import, or one that changes nothing.
    ///
    /// # Errors
    ///
    /// The server is not there, or refuses the key.
    pub async fn import(&self, validate_only: bool) -> Result<ImportClient, TransferClientError> {
        // Each message is answered before the next one is sent.
        let (messages, sent) = mpsc::channel(1);
        let sent = stream::unfold(sent, |mut sent| async { Some((sent.recv().await?, sent)) });
        Ok(ImportClient {
            messages,
            answers: self.call(IMPORT, sent).await?,
            validate_only,
        })
    }

    /// Begins an export: of live members, and of those who were revoked behind them.
    ///
    /// # Errors
    ///
    /// The server is not there, or refuses the key.
    pub async fn export(&self, include_revoked: bool) -> Result<ExportClient, TransferClientError> {
        let request = pb::ExportMembersRequest { include_revoked };
        let request = stream::iter([request]);
        Ok(ExportClient(self.call(EXPORT, request).await?))
    }

    async fn call<Q, A>(
        &self,
        method: &'static str,
        messages: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, TransferClientError>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let mut request = Request::new(messages);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.key.clone());
        if let Some(id) = self.organization.and_then(|id| id.to_string().parse().ok()) {
            metadata.insert("x-organization-id", id);
        }
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(TransferClientError::Unreachable)?;
        let codec = SmallCodec::<Q, A>::default();
        let answers = grpc
            .streaming(request, PathAndQuery::from_static(method), codec)
            .await?;
        Ok(answers.into_inner())
    }
}

impl ExportClient {
    /// The next members. None: there are no more. Since when they have their addresses is not told: it is as if since they were linked.
    ///
    /// # Errors
    ///
    /// The server is gone, or has ended the export.
    pub async fn next(&mut self) -> Result<Option<Vec<Member>>, TransferClientError> {
        let Some(message) = self.0.message().await? else {
            return Ok(None);
        };
        let members: Option<Vec<_>> = message.members.into_iter().map(members::received).collect();
        members.ok_or(TransferClientError::Odd).map(Some)
    }
}

impl ImportClient {
    /// Sends rows, and returns what became of each when they are on disk.
    ///
    /// # Errors
    ///
    /// The server is gone, or has ended the import. What became of these rows is not known then; those that were sent before
    /// are imported.
    pub async fn import(
        &mut self,
        rows: impl Iterator<Item = ImportRow>,
    ) -> Result<Vec<ImportAnswer>, TransferClientError> {
        let mut answers = Vec::new();
        let mut message = Vec::new();
        let mut bytes = 0;
        for row in rows {
            let row = encoded(row);
            let length = row.encoded_len() + FRAME;
            if message.len() == MAX_ROWS || bytes + length > LARGEST_MESSAGE {
                answers.extend(self.exchange(std::mem::take(&mut message)).await?);
                bytes = 0;
            }
            bytes += length;
            message.push(row);
        }
        if !message.is_empty() {
            answers.extend(self.exchange(message).await?);
        }
        Ok(answers)
    }

    async fn exchange(&mut self, rows: Vec<pb::ImportRow>) -> Result<Vec<ImportAnswer>, TransferClientError> {
        let count = rows.len();
        let message = pb::ImportMembersRequest {
            rows,
            validate_only: self.validate_only,
        };
        // It fails if the call has ended, and then the answer says why.
        let _ = self.messages.send(message).await;
        let answer = self.answers.message().await?.ok_or(TransferClientError::Odd)?;
        let answers: Option<Vec<_>> = answer.results.into_iter().map(decoded).collect();
        answers
            .filter(|answers| answers.len() == count)
            .ok_or(TransferClientError::Odd)
    }
}

fn decoded(result: pb::ImportResult) -> Option<ImportAnswer> {
    Some(match result.outcome() {
        pb::ImportOutcome::Unspecified => return None,
        pb::ImportOutcome::Created => ImportAnswer::Created,
        pb::ImportOutcome::Updated => ImportAnswer::Updated,
        pb::ImportOutcome::Unchanged => ImportAnswer::Unchanged,
        pb::ImportOutcome::Rejected => {
            let flaws = result
                .flaws
                .into_iter()
                .map(|flaw| (flaw.field, flaw.description));
            ImportAnswer::Rejected(flaws.collect())
        }
    })
}

fn encoded(row: ImportRow) -> pb::ImportRow {
    let values = row.values;
    macro_rules! text {
        ($field:ident) => {
            values.$field.flatten().map(Into::into)
        };
    }
    pb::ImportRow {
        source: Some(row.origin.source.into()),
        external_id: row.origin.external_id.map(Into::into),
        email: text!(email),
        name: text!(name),
        given_name: text!(given_name),
        family_name: text!(family_name),
        avatar_url: text!(avatar_url),
        portal_role: text!(portal_role),
        company_name: text!(company_name),
        customer_status: text!(customer_status),
        locale: text!(locale),
        role: members::role(values.role.flatten()).into(),
        enabled: values.enabled,
        auth_method: members::auth_method(values.auth_method.flatten()).into(),
        onboarded: values.onboarded,
        teams: values
            .teams
            .unwrap_or_default()
            .iter()
            .map(|team| team.0)
            .collect(),
        primary_team: values.primary_team.map(|team| team.0),
        last_seen_at: row.last_seen_at.map(timestamp),
    }
}
