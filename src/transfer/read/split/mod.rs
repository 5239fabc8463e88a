//! From the text of a file to its records. None is held that is longer than 1 MiB.
//!
//! JSON is split here, by brackets and quotes alone: struson, which streams it, says that it is experimental and bounds no string, and
//! reading is to go on behind a value that can't be read. Each record, as long as it may be, is read by `serde_json`.

mod csv;
mod documents;
mod lines;
mod object;
mod scan;

pub(super) use self::{
    csv::{Csv, Header},
    documents::{Documents, is_lines},
    lines::next_line,
    object::{keys, record},
};
