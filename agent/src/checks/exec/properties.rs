//! What must hold of what commands say. See [`crate::checks::properties`].

use super::{Said, number::Number};
use crate::checks::properties::fit;

/// The output of a plugin of Nagios.
pub fn plugin_output(bytes: &[u8]) {
    let said = Said::read(bytes);
    let mut length = said.sentence.len();
    for line in [&said.sentence].into_iter().chain(&said.more) {
        fit(line);
    }
    for line in &said.more {
        assert!(!line.is_empty());
        length += line.len();
    }
    // A byte that is no text becomes three.
    assert!(length <= 3 * bytes.len());
    assert!(said.numbers.len() <= 64);
    for number in &said.numbers {
        fit(&number.to_string());
        assert!(number.to_string().len() < 1024);
    }
    let level = said.numbers.iter().find_map(Number::level);
    // Only what is a number can be the level.
    assert!(level.is_none_or(|level| level.starts_with(|c: char| "0123456789+-.".contains(c))));
    let crlf: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| match byte {
            b'\n' => b"\r\n".to_vec(),
            byte => vec![*byte],
        })
        .collect();
    assert_eq!(Said::read(&crlf), said);
}
