//! Searches for a frame as it comes off a wire that breaks something.

#![no_main]

use tcpcap_fuzz::HEADERS;

libfuzzer_sys::fuzz_target!(init: HEADERS.seed(), |input: &[u8]| (HEADERS.run)(input));
