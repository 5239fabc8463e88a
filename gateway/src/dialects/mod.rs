//! One folder per vendor contract. None knows another.
pub mod productbridge;
