//! Values as Python shows them, for the lines that the original logs them in.

use std::fmt::Write as _;

/// A text in the quotes and with the escapes that Python shows it with.
pub(super) fn text(text: &str) -> String {
    quoted(text.chars(), |c| c.is_control())
}

/// The same of bytes, each of which is a character of its own, as in `b'done'`.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let chars = bytes.iter().map(|byte| char::from(*byte));
    format!("b{}", quoted(chars, |c| !(' '..='~').contains(&c)))
}

fn quoted(chars: impl Iterator<Item = char> + Clone, strange: fn(char) -> bool) -> String {
    let has = |quote| chars.clone().any(|c| c == quote);
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for c in chars {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            c if c == quote => quoted.extend(['\\', c]),
            c if strange(c) => {
                write!(quoted, "\\x{:02x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_python() {
        for (plain, python) in [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("it's \"both\"", "'it\\'s \"both\"'"),
            ("\u{1}\u{85}é\\", "'\\x01\\x85é\\\\'"),
        ] {
            assert_eq!(text(plain), python);
        }
        assert_eq!(bytes(b"fake\nit's \x00\x7f\xff"), "b\"fake\\nit's \\x00\\x7f\\xff\"");
        assert_eq!(bytes(b""), "b''");
    }
}
