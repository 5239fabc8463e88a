#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use userbridge_fuzz::{Tried, member_files};

fuzz_target!(|input: &[u8]| -> Corpus {
    match member_files(input) {
        Tried::Yes => Corpus::Keep,
        Tried::NoInput => Corpus::Reject,
    }
});
