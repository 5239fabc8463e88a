//! The other end of an import: what `userbridge import --server` calls.

use futures_util::stream;
use http::uri::PathAndQuery;
use prost::Message as _;
use thiserror::Error;
use tokio::sync::mpsc;
use tonic::{Request, Status, Streaming, client::Grpc, metadata::MetadataValue, transport::Channel};
use userbridge_wire::SmallCodec;

use super::MAX_ROWS;
use crate::{
    domain::{ImportRow, OrganizationId},
    rpc::{LARGEST_MESSAGE, members, proto::userbridge::directory::v1 as pb, time::timestamp},
};

/// The most that a row takes beside its own bytes: the number of its field, and its length.
const FRAME: usize = 8;

const METHOD: &str = "/userbridge.directory.v1.TransferService/ImportMembers";

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

/// Why an import has ended before its end.
#[derive(Debug, Error)]
pub enum ImportClientError {
    /// The key can't be sent.
    #[error("the key has characters that no key has")]
    Key,
    #[error("the server can't be reached")]
    Unreachable(#[source] tonic::transport::Error),
    /// It answered so.
    #[error("the server answered: {} ({})", .0.message(), .0.code())]
    Refused(Box<Status>),
    /// It answered otherwise than it should.
    #[error("the server does not answer as this version does")]
    Odd,
}

impl From<Status> for ImportClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl ImportClient {
    /// Begins an import with this key, which names the organization unless the key is one of it.
    ///
    /// # Errors
    ///
    /// The server is not there, or refuses the key.
    pub async fn begin(
        channel: Channel,
        key: &str,
        organization: Option<OrganizationId>,
        validate_only: bool,
    ) -> Result<Self, ImportClientError> {
        // Each message is answered before the next one is sent.
        let (messages, sent) = mpsc::channel(1);
        let sent = stream::unfold(sent, |mut sent| async { Some((sent.recv().await?, sent)) });
        let mut request = Request::new(sent);
        let key: MetadataValue<_> = format!("Bearer {key}")
            .parse()
            .map_err(|_| ImportClientError::Key)?;
        let metadata = request.metadata_mut();
        metadata.insert("authorization", key);
        if let Some(id) = organization.and_then(|id| id.to_string().parse().ok()) {
            metadata.insert("x-organization-id", id);
        }
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.map_err(ImportClientError::Unreachable)?;
        let codec = SmallCodec::<pb::ImportMembersRequest, pb::ImportMembersResponse>::default();
        let answers = grpc
            .streaming(request, PathAndQuery::from_static(METHOD), codec)
            .await?;
        Ok(Self {
            messages,
            answers: answers.into_inner(),
            validate_only,
        })
    }

    /// Sends rows, and returns what became of each when they are on disk.
    ///
    /// # Errors
    ///
    /// The server is gone, or has ended the import. What became of these rows is not known then; those that were sent before
    /// are imported.
    pub async fn import(&mut self, rows: Vec<ImportRow>) -> Result<Vec<ImportAnswer>, ImportClientError> {
        let mut answers = Vec::with_capacity(rows.len());
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

    async fn exchange(&mut self, rows: Vec<pb::ImportRow>) -> Result<Vec<ImportAnswer>, ImportClientError> {
        let count = rows.len();
        let message = pb::ImportMembersRequest {
            rows,
            validate_only: self.validate_only,
        };
        // It fails if the call has ended, and then the answer says why.
        let _ = self.messages.send(message).await;
        let answer = self.answers.message().await?.ok_or(ImportClientError::Odd)?;
        let answers: Option<Vec<_>> = answer.results.into_iter().map(decoded).collect();
        answers
            .filter(|answers| answers.len() == count)
            .ok_or(ImportClientError::Odd)
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
