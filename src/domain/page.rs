//! Pages of lists.

/// Which page of a list: up to `limit` items after the last one of the page before, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// The key of the last item already seen; none for the first page.
    pub after: Option<K>,
    /// The most items to return.
    pub limit: u32,
}

impl<K> PageRequest<K> {
    /// The same page with [`one_more`].
    #[must_use]
    pub fn and_one_more(self) -> Self {
        Self {
            limit: one_more(self.limit),
            ..self
        }
    }
}

/// How many items to read for a page of `limit`: one more tells whether there is another page. [`Page::of`] takes it off
/// again.
#[must_use]
pub const fn one_more(limit: u32) -> u32 {
    limit.saturating_add(1)
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Whether there is another page.
    pub more: bool,
}

impl<T> Page<T> {
    /// The first `limit` of these items, of which there are more if there is another page.
    #[must_use]
    pub fn of(mut items: Vec<T>, limit: u32) -> Self {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        Self { items, more }
    }

    /// The last item, if there is another page after it.
    #[must_use]
    pub fn end(&self) -> Option<&T> {
        self.items.last().filter(|_| self.more)
    }
}
