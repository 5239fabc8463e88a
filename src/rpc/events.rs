//! `userbridge.directory.v1.EventService`.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use userbridge_gateway::listen::Endless;

use super::{
    DirectoryCell, Reply, auth, drained,
    page::List,
    proto::userbridge::directory::v1 as pb,
    status,
    time::timestamp,
    violations::{Violations, valid},
};
use crate::domain::{Event, EventKind, EventQuery, UserId};

/// Most kinds to ask for.
const MAX_KINDS: usize = 20;

pub(super) struct Events {
    directory: DirectoryCell,
    draining: watch::Receiver<bool>,
}

impl Events {
    /// Streams end when `draining` turns true.
    pub(super) fn new(directory: DirectoryCell, draining: watch::Receiver<bool>) -> Self {
        Self { directory, draining }
    }
}

#[tonic::async_trait]
impl pb::event_service_server::EventService for Events {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send>>;

    async fn list_events(&self, request: Request<pb::ListEventsRequest>) -> Reply<pb::ListEventsResponse> {
        let (directory, grant) = self.directory.read(&request).await?;
        let mut request = request.into_inner();
        let list = List::of("ListEvents", Some(grant.organization()), &mut request);
        let mut violations = Violations::default();
        let page = list.page(&mut violations);
        let user = Some(&request.user_id).filter(|id| !id.is_empty());
        let user = user.and_then(|id| violations.id::<UserId>("user_id", id));
        if request.kinds.len() > MAX_KINDS {
            violations.add("kinds", format_args!("must be at most {MAX_KINDS}"));
        }
        let kinds = request.kinds.iter().enumerate().filter_map(|(index, kind)| {
            violations.check(&format!("kinds[{index}]"), kind.parse::<EventKind>())
        });
        let kinds = kinds.collect();
        let descending = match &request.order_by[..] {
            "" | "sequence" => Ok(false),
            "sequence desc" => Ok(true),
            _ => Err("must be sequence, optionally with ` desc`"),
        };
        let descending = violations.check("order_by", descending).unwrap_or_default();
        let query = violations.finish(Some(EventQuery {
            after: page.after.unwrap_or_default(),
            descending,
            limit: page.limit,
            user,
            kinds,
        }))?;
        let events = directory.events(grant, query).await?;
        Ok(Response::new(pb::ListEventsResponse {
            next_page_token: list.next(events.end().map(|last| last.sequence)),
            events: events.items.into_iter().map(event).collect(),
        }))
    }

    async fn watch_events(&self, request: Request<pb::WatchEventsRequest>) -> Reply<Self::WatchEventsStream> {
        let (directory, grant) = self.directory.read(&request).await?;
        let credential = auth::credential(&request)?;
        let after = request.get_ref().after_sequence;
        let after = valid(|violations| {
            violations.check(
                "after_sequence",
                Some(after)
                    .filter(|after| *after >= 0)
                    .ok_or("must not be negative"),
            )
        })?;
        let events = directory
            .watch_events(grant, credential, after)
            .await?
            .map_err(Status::from)
            .map_ok(|watched| pb::WatchEventsResponse {
                event: watched.event.map(event),
                head_sequence: watched.head,
            })
            .take_until(drained(self.draining.clone()))
            .chain(stream::once(future::ready(Err(status::draining()))))
            // The first error is the last item.
            .scan(false, |ended, item| {
                let before = std::mem::replace(ended, item.is_err());
                future::ready((!before).then_some(item))
            });
        Ok(super::endless(events, Endless::Always))
    }
}

/// An event as a message.
pub(super) fn event(event: Event) -> pb::Event {
    pb::Event {
        sequence: event.sequence,
        organization_id: event.organization_id.map(|id| id.to_string()).unwrap_or_default(),
        kind: event.kind.as_str().to_owned(),
        member_id: event.member_id.map(|id| id.to_string()).unwrap_or_default(),
        user_id: event.user_id.map(|id| id.to_string()).unwrap_or_default(),
        api_key_id: event.api_key_id.map(|id| id.to_string()).unwrap_or_default(),
        team: event.team.map(|team| team.0).unwrap_or_default(),
        actor: event.actor.to_string(),
        client_identity: event.client.map(Into::into).unwrap_or_default(),
        source: event.source.map(Into::into).unwrap_or_default(),
        at: Some(timestamp(event.at)),
        fields: event.fields,
    }
}
