//! Members in bulk, from files.

use super::{MemberPatch, Origin, Timestamp};

/// What a file says of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportRow {
    /// Where the member comes from. One that is there is found by source and external id, else by address.
    pub origin: Origin,
    /// The values of a new member; those that differ are changed in one that is there. None of them clears anything, and
    /// `external_id` is not among them.
    pub values: MemberPatch,
    /// When it was last seen. One that is there and was seen later stays as it is.
    pub last_seen_at: Option<Timestamp>,
}

impl ImportRow {
    /// The source of those whose file names none.
    pub const SOURCE: &str = "import";
}
