//! Searches for a stream of sightings and times that breaks something.

#![no_main]

use tcpcap_fuzz::ENGINE;

libfuzzer_sys::fuzz_target!(init: ENGINE.seed(), |input: &[u8]| (ENGINE.run)(input));
