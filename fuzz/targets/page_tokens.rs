#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use userbridge_fuzz::{Tried, page_tokens};

fuzz_target!(|input: &[u8]| -> Corpus {
    match page_tokens(input) {
        Tried::Yes => Corpus::Keep,
        Tried::NoInput => Corpus::Reject,
    }
});
