//! Pages of lists, and tokens that say where a list goes on: opaque to callers, and good for the one list they came from.

use std::mem;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{
    proto::userbridge::{
        admin::v1::{ListApiKeysRequest, ListOrganizationsRequest},
        directory::v1::{ExportMemberRequest, ListEventsRequest, ListMembersRequest, ListTeamsRequest},
    },
    violations::Violations,
};
use crate::domain::{OrganizationId, PageRequest};

/// Most entries of a page.
const MAX_PAGE: i32 = 500;

/// Entries of a page where the caller does not say.
const DEFAULT_PAGE: u32 = 50;

/// A request for one page of a list.
pub(super) trait ListRequest: prost::Message {
    /// Takes `page_size` and `page_token` out: what stays is the list.
    fn take_page(&mut self) -> (i32, String);
}

macro_rules! list_requests {
    ($($request:ty),+) => {
        $(impl ListRequest for $request {
            fn take_page(&mut self) -> (i32, String) {
                (mem::take(&mut self.page_size), mem::take(&mut self.page_token))
            }
        })+
    };
}

list_requests!(
    ExportMemberRequest,
    ListApiKeysRequest,
    ListEventsRequest,
    ListMembersRequest,
    ListOrganizationsRequest,
    ListTeamsRequest
);

/// A list, and which page of it is asked for.
pub(super) struct List {
    /// Of the method, of whose list it is, and of everything about the request that gives it its entries and their order.
    digest: [u8; 8],
    page_size: i32,
    page_token: String,
}

impl List {
    /// The list of this method with what is left of the request. None: of what belongs to no organization, or to any.
    pub(super) fn of(
        method: &str,
        organization: Option<OrganizationId>,
        request: &mut impl ListRequest,
    ) -> Self {
        let (page_size, page_token) = request.take_page();
        let organization = organization.map_or([0; 16], |id| *id.as_uuid().as_bytes());
        let whole = Sha256::new()
            .chain_update(method)
            .chain_update([0])
            .chain_update(organization)
            .chain_update(request.encode_to_vec());
        let mut digest = [0; 8];
        digest.copy_from_slice(&whole.finalize()[..8]);
        Self {
            digest,
            page_size,
            page_token,
        }
    }

    /// The page that is asked for. A size that is out of bounds is a violation, and so is a token of another list.
    pub(super) fn page<K: DeserializeOwned>(&self, violations: &mut Violations) -> PageRequest<K> {
        let limit = match u32::try_from(self.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(some) if self.page_size <= MAX_PAGE => some,
            _ => {
                violations.add("page_size", format_args!("must be 0 to {MAX_PAGE}"));
                DEFAULT_PAGE
            }
        };
        let after = (!self.page_token.is_empty()).then(|| self.read(&self.page_token));
        let after =
            after.and_then(|read| violations.check("page_token", read.ok_or("is not a token of this list")));
        PageRequest { after, limit }
    }

    fn read<K: DeserializeOwned>(&self, token: &str) -> Option<K> {
        let text = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (digest, key) = serde_json::from_slice::<([u8; 8], K)>(&text).ok()?;
        (digest == self.digest).then_some(key)
    }

    /// The token for the page after the entry with this key. None: there is no other page.
    pub(super) fn next(&self, end: Option<impl Serialize>) -> String {
        let token = |key| serde_json::to_vec(&(self.digest, key)).unwrap_or_default();
        end.map(|key| URL_SAFE_NO_PAD.encode(token(key)))
            .unwrap_or_default()
    }
}

/// Most bytes of the entries of one response: half of what clients take unless they are told otherwise (4 MiB).
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// How many of these entries fit into one response; one at least.
pub(super) fn fitting<T: prost::Message>(entries: &[T]) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += size(*entry);
        bytes <= MAX_BYTES
    });
    fitting.count().max(1)
}

/// The bytes that an entry takes in a response: it comes with its field's number and its length.
pub(super) fn size(entry: &impl prost::Message) -> usize {
    let length = entry.encoded_len();
    1 + prost::length_delimiter_len(length) + length
}
