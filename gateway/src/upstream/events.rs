//! `EventService`.

use super::{Connection, Key, MAX_RESPONSE, Upstream, UpstreamError, call};
use crate::proto::directory_v1::{
    ListEventsRequest, ListEventsResponse, event_service_client::EventServiceClient,
};

impl Upstream {
    /// One page of what happened.
    pub(crate) async fn list_events(
        &self,
        key: &Key,
        request: ListEventsRequest,
    ) -> Result<ListEventsResponse, UpstreamError> {
        call(self.events().list_events(key.request(request))).await
    }

    fn events(&self) -> EventServiceClient<Connection> {
        EventServiceClient::new(self.connection()).max_decoding_message_size(MAX_RESPONSE)
    }
}
