#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use userbridge_fuzz::{Tried, messages};

fuzz_target!(|input: &[u8]| -> Corpus {
    match messages(input) {
        Tried::Yes => Corpus::Keep,
        Tried::NoInput => Corpus::Reject,
    }
});
