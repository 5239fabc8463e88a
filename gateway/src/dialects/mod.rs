//! One folder per vendor contract. None knows another.
pub mod feedier;
pub mod productbridge;
pub mod thebridge;

use crate::openapi::Dialect;

/// Every dialect, as it describes itself.
pub(crate) fn all() -> [Dialect; 3] {
    [productbridge::dialect(), feedier::dialect(), thebridge::dialect()]
}
