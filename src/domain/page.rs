//! Paging.

/// One page of a list: up to `limit` entries after the last one of the page before, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<K> {
    /// The key of the last entry already seen; none for the first page.
    pub after: Option<K>,
    /// The most entries to return.
    pub limit: u32,
}
