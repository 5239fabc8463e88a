//! The formats, a file each: which columns they have, what those say, and by what a file of theirs is recognized.
//!
//! A column that is not listed is passed over. To add a format: its name in [`Format`], its file here, and its lines below.

mod freshdesk;
mod own;
mod thebridge;
mod zendesk;

use super::layout::Meaning;
use crate::transfer::Format;

type Columns = &'static [(&'static str, Meaning)];

/// The columns of a format.
pub(super) const fn columns(format: Format) -> Columns {
    match format {
        Format::Csv | Format::Ndjson | Format::Json => own::COLUMNS,
        Format::Zendesk => zendesk::COLUMNS,
        Format::Freshdesk => freshdesk::COLUMNS,
        Format::TheBridge => thebridge::COLUMNS,
    }
}

/// What members of a file come from, unless it says that itself.
pub(super) const fn source(format: Format) -> &'static str {
    match format {
        Format::Csv | Format::Ndjson | Format::Json | Format::TheBridge => "import",
        Format::Zendesk => "zendesk",
        Format::Freshdesk => "freshdesk",
    }
}

/// Whose objects have these keys. None: our own, or somebody's whose keys tell nothing.
pub(super) fn of_objects(has: impl Fn(&str) -> bool) -> Option<Format> {
    if own::has_mark(&has) {
        None
    } else if freshdesk::has_marks(&has) {
        Some(Format::Freshdesk)
    } else if zendesk::has_marks(&has) {
        Some(Format::Zendesk)
    } else {
        None
    }
}

/// Whose CSV has these columns, as headers are compared.
pub(super) fn of_header(has: impl Fn(&str) -> bool) -> Format {
    if own::has_mark(&has) {
        Format::Csv
    } else if thebridge::has_marks(&has) {
        Format::TheBridge
    } else if freshdesk::has_marks(&has) {
        Format::Freshdesk
    } else {
        Format::Csv
    }
}

/// Whether at least so many of the names are there.
fn has_some(has: impl Fn(&str) -> bool, least: usize, names: &[&str]) -> bool {
    names.iter().filter(|name| has(name)).take(least).count() == least
}
