//! Flags of how often may be called.

use std::num::NonZeroU32;

use clap::Args;

use crate::service::{CallLimits, CallRate};

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct CallFlags {
    /// Calls a second that one key may make; 0 sets no limit.
    #[arg(
        long,
        env = "USERBRIDGE_RATE_LIMIT",
        value_name = "NUMBER",
        default_value_t = 0
    )]
    rate_limit: u32,
    /// Calls at once that a key may make which has not called for a while; otherwise as many as a second has.
    #[arg(
        long,
        env = "USERBRIDGE_RATE_BURST",
        value_name = "NUMBER",
        requires = "rate_limit"
    )]
    rate_burst: Option<NonZeroU32>,
    /// Keys that open nothing which one address may show at once, and then so many a minute; 0 sets no limit. Addresses of this machine
    /// are not counted.
    #[arg(
        long,
        env = "USERBRIDGE_FAILED_KEYS",
        value_name = "NUMBER",
        default_value_t = 60
    )]
    failed_keys: u32,
}

impl CallFlags {
    pub(super) fn limits(self) -> CallLimits {
        let per_key = NonZeroU32::new(self.rate_limit).map(|per_second| CallRate {
            per_second,
            burst: self.rate_burst.unwrap_or(per_second),
        });
        CallLimits {
            per_key,
            failed_keys: NonZeroU32::new(self.failed_keys),
        }
    }
}
