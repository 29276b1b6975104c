//! Searches for a capture file that breaks something.

#![no_main]

use tcpcap_fuzz::REPLAY;

libfuzzer_sys::fuzz_target!(init: REPLAY.seed(), |input: &[u8]| (REPLAY.run)(input));
