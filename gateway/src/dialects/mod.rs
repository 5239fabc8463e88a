//! One folder per vendor contract. None knows another.
pub mod feedier;
pub mod productbridge;
pub mod thebridge;
