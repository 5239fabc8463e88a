//! Page tokens: where a list goes on. Opaque to callers, and good for the one list they came from.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::violations::Violations;
use crate::domain::OrganizationId;

/// A list: its method, whose it is, and everything about the request that gives it its entries and their order.
pub(super) struct List([u8; 8]);

impl List {
    /// The list of this method with this request, in which `page_size` and `page_token` have been cleared. None: of what
    /// belongs to no organization, or to any.
    pub(super) fn new(
        method: &str,
        organization: Option<OrganizationId>,
        request: &impl prost::Message,
    ) -> Self {
        let organization = organization.map_or([0; 16], |id| *id.as_uuid().as_bytes());
        let digest = Sha256::new()
            .chain_update(method)
            .chain_update([0])
            .chain_update(organization)
            .chain_update(request.encode_to_vec());
        let mut tag = [0; 8];
        tag.copy_from_slice(&digest.finalize()[..8]);
        Self(tag)
    }

    /// The token for the page after an entry.
    pub(super) fn token(&self, cursor: &impl Serialize) -> String {
        let text = serde_json::to_vec(&(self.0, cursor)).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Where the page before ended; none for the first page. A token of another list is a fault.
    pub(super) fn cursor<T: DeserializeOwned>(&self, token: &str, violations: &mut Violations) -> Option<T> {
        if token.is_empty() {
            return None;
        }
        let text = URL_SAFE_NO_PAD.decode(token).ok();
        let read = text.and_then(|text| serde_json::from_slice::<([u8; 8], T)>(&text).ok());
        match read {
            Some((tag, cursor)) if tag == self.0 => Some(cursor),
            _ => {
                violations.add("page_token", "is not a token of this list");
                None
            }
        }
    }
}

/// Most bytes of the entries of one answer: half of what clients take unless they are told otherwise (4 MiB).
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// How many of these entries fit into one answer; one at least. An entry comes with its field's number and its length.
pub(super) fn fitting<T: prost::Message>(entries: &[T]) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        let length = entry.encoded_len();
        bytes += 1 + prost::length_delimiter_len(length) + length;
        bytes <= MAX_BYTES
    });
    fitting.count().max(1)
}
