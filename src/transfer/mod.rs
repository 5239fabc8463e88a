//! Files of members: reading those of this directory and of other products, writing those of this one.
//!
//! [`Reader`] makes an [`ImportRow`](crate::domain::ImportRow) of each record, or says what is wrong with it, and holds no record
//! that is longer than 1 MiB. [`Writer`] writes what [`Reader`] reads. What is done with the rows, the service decides.

mod field;
mod format;
mod formula;
mod read;
mod rejections;
mod repeats;
mod write;

pub use field::Field;
pub use format::Format;
pub use read::{Compression, FileError, Flaw, ReadOptions, Reader, Reason, Record};
pub use rejections::{Place, Rejections, is_list_of_rejections};
pub use repeats::{Repeat, Repeats};
pub use write::Writer;

#[cfg(test)]
mod tests;
