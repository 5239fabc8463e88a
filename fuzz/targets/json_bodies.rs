#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use userbridge_fuzz::{Tried, json_bodies};

fuzz_target!(|input: &[u8]| -> Corpus {
    match json_bodies(input) {
        Tried::Yes => Corpus::Keep,
        Tried::NoInput => Corpus::Reject,
    }
});
