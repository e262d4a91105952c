//! One fuzz target: the property that the binary is named for.
#![no_main]

use fletchck_tests::fuzz;

/// Found when it is compiled, so that the binary holds no other.
const PROPERTY: fuzz::Property = fuzz::property(env!("CARGO_BIN_NAME"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| PROPERTY(bytes));
