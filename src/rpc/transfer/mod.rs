//! `userbridge.directory.v1.TransferService`: calls that last as long as there is something to send.

mod client;

use std::{collections::HashSet, pin::Pin, time::Duration};

use futures_util::{Stream, stream};
use tokio::{sync::watch, time::timeout};
use tonic::{Request, Status, Streaming};
use userbridge_gateway::listen::Endless;

pub use self::client::{ExportClient, ImportAnswer, ImportClient, TransferClient, TransferClientError};
use super::{
    DirectoryCell, Reply, auth, drained,
    members::{import_row, member},
    page,
    proto::userbridge::directory::v1 as pb,
    status,
    violations::{Violations, valid},
};
use crate::{
    domain::{ClientIdentity, MemberId, OrganizationId},
    service::{AllPlace, Credential, Directory, Imported, KeyPlace},
};

/// Most rows of one message.
const MAX_ROWS: usize = 1000;

/// Rows of one transaction: others who write wait for so many.
const ROWS: usize = 250;

/// Most bytes of the members of one message of an export, unless it is of one who has more. Two are kept of an export whose client
/// takes nothing.
const PART: usize = 128 * 1024;

/// Members that are read at once: at first, and at most.
const FIRST: usize = 50;
const MOST: usize = 500;

/// How long the next message may take to come.
const PATIENCE: Duration = Duration::from_mins(1);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) struct Transfer {
    directory: DirectoryCell,
    draining: watch::Receiver<bool>,
}

impl Transfer {
    /// Calls end when `draining` turns true.
    pub(super) fn new(directory: DirectoryCell, draining: watch::Receiver<bool>) -> Self {
        Self { directory, draining }
    }

    /// What a call that was granted needs for as long as it lasts. There is none when too many last.
    fn session(
        &self,
        directory: &Directory,
        organization: OrganizationId,
        credential: Credential,
        client: Option<ClientIdentity>,
    ) -> Result<Session, Status> {
        Ok(Session {
            _place: directory.transfer_place(organization, &credential)?,
            directory: directory.clone(),
            credential,
            client,
            draining: self.draining.clone(),
        })
    }
}

#[tonic::async_trait]
impl pb::transfer_service_server::TransferService for Transfer {
    type ImportMembersStream = Answers<pb::ImportMembersResponse>;
    type ExportMembersStream = Answers<pb::ExportMembersResponse>;

    async fn import_members(
        &self,
        request: Request<Streaming<pb::ImportMembersRequest>>,
    ) -> Reply<Self::ImportMembersStream> {
        let directory = self.directory.get()?;
        let (credential, client) = (auth::credential(&request)?, auth::client(request.extensions()));
        // Whoever may not write hears it at once.
        let grant = directory.grant_write(credential, client.clone()).await?;
        let session = self.session(directory, grant.organization(), credential, client)?;
        let import = (session, request.into_inner());
        let answers = stream::try_unfold(import, |(mut session, mut messages)| async move {
            let Some(message) = session.next(&mut messages).await? else {
                return Ok(None);
            };
            let answer = session.import(message).await?;
            Ok(Some((answer, (session, messages))))
        });
        Ok(super::endless(answers, Endless::WhileTaken))
    }

    async fn export_members(
        &self,
        request: Request<pb::ExportMembersRequest>,
    ) -> Reply<Self::ExportMembersStream> {
        let directory = self.directory.get()?;
        let credential = auth::credential(&request)?;
        let grant = directory.grant_read(credential).await?;
        let export = Export {
            session: self.session(directory, grant.organization(), credential, None)?,
            with_revoked: request.get_ref().include_revoked,
            rows: FIRST,
            next: Some(AllPlace::START),
        };
        let answers = stream::try_unfold(export, |mut export| async move {
            let members = export.part().await?;
            Ok((!members.is_empty()).then_some((pb::ExportMembersResponse { members }, export)))
        });
        Ok(super::endless(answers, Endless::WhileTaken))
    }
}

struct Session {
    directory: Directory,
    credential: Credential,
    client: Option<ClientIdentity>,
    draining: watch::Receiver<bool>,
    _place: KeyPlace,
}

impl Session {
    /// The next message. None: there is none.
    async fn next<T>(&mut self, messages: &mut Streaming<T>) -> Result<Option<T>, Status> {
        tokio::select! {
            biased;
            () = drained(self.draining.clone()) => Err(status::draining()),
            message = timeout(PATIENCE, messages.message()) => {
                let message = message.map_err(|_| status::deadline_exceeded())?;
                message.map_err(|bare| status::completed(&bare))
            }
        }
    }

    async fn import(&self, message: pb::ImportMembersRequest) -> Result<pb::ImportMembersResponse, Status> {
        let count = message.rows.len();
        valid(|violations| {
            let is_right = (1..=MAX_ROWS).contains(&count);
            let is_right = is_right.then_some(()).ok_or(format!("must be 1 to {MAX_ROWS}"));
            violations.check("rows", is_right)
        })?;
        let grant = self
            .directory
            .grant_write(self.credential, self.client.clone())
            .await?;
        let mut results: Vec<Option<pb::ImportResult>> = Vec::with_capacity(count);
        let mut rows = Vec::with_capacity(count);
        for row in message.rows {
            let mut violations = Violations::default();
            let row = import_row(row, &mut violations);
            results.push(violations.flaws().map(rejected));
            if results.last().is_some_and(Option::is_none) {
                rows.push(row);
            }
        }
        let imported = if message.validate_only {
            self.directory.rehearse_import(grant, rows.into()).await?
        } else {
            let mut imported = Vec::with_capacity(rows.len());
            for rows in rows.chunks(ROWS) {
                imported.extend(
                    self.directory
                        .import_members(grant.clone(), rows.to_vec().into())
                        .await?,
                );
            }
            imported
        };
        let made = if message.validate_only {
            created(&imported)
        } else {
            HashSet::new()
        };
        let mut imported = imported.into_iter().map(|imported| result(imported, &made));
        let results = results
            .into_iter()
            .filter_map(|result| result.or_else(|| imported.next()))
            .collect();
        Ok(pb::ImportMembersResponse { results })
    }
}

fn rejected(flaws: Vec<pb::ImportFlaw>) -> pb::ImportResult {
    pb::ImportResult {
        outcome: pb::ImportOutcome::Rejected.into(),
        member_id: String::new(),
        flaws,
    }
}

fn created(imported: &[Imported]) -> HashSet<MemberId> {
    let created = imported.iter().filter_map(|imported| match imported {
        Imported::Created(member) => Some(*member),
        _ => None,
    });
    created.collect()
}

/// Without the id of a member that was made and is not there.
fn result(imported: Imported, gone: &HashSet<MemberId>) -> pb::ImportResult {
    let (outcome, member) = match imported {
        Imported::Created(member) => (pb::ImportOutcome::Created, member),
        Imported::Updated(member) => (pb::ImportOutcome::Updated, member),
        Imported::Unchanged(member) => (pb::ImportOutcome::Unchanged, member),
        Imported::Rejected(rejection) => {
            return rejected(vec![status::flaw(rejection)]);
        }
    };
    pb::ImportResult {
        outcome: outcome.into(),
        member_id: if gone.contains(&member) {
            String::new()
        } else {
            member.to_string()
        },
        flaws: Vec::new(),
    }
}

struct Export {
    session: Session,
    with_revoked: bool,
    /// How many to read next.
    rows: usize,
    next: Option<AllPlace>,
}

impl Export {
    /// The next ones, as many as fit into one message. Empty: there are none.
    async fn part(&mut self) -> Result<Vec<pb::Member>, Status> {
        let mut part = Vec::new();
        while part.is_empty()
            && let Some(place) = self.next.take()
        {
            if *self.session.draining.borrow() {
                return Err(status::draining());
            }
            let directory = &self.session.directory;
            let grant = directory.grant_read(self.session.credential).await?;
            let rows = u32::try_from(self.rows).unwrap_or(u32::MAX);
            let (read, next) = directory
                .all_members(grant, place.clone(), self.with_revoked, rows)
                .await?;
            self.next = next;
            let mut bytes = 0;
            let mut end = place.clone();
            for one in read {
                let after = place.after(&one);
                let one = member(one);
                let size = page::size(&one);
                if !part.is_empty() && bytes + size > PART {
                    // It is read again, rather than kept for as long as the client likes.
                    self.next = Some(end);
                    break;
                }
                bytes += size;
                part.push(one);
                end = after;
            }
            // As many as fit, if they are like these.
            self.rows = (part.len() * PART)
                .checked_div(bytes)
                .unwrap_or(FIRST)
                .clamp(1, MOST);
        }
        Ok(part)
    }
}
