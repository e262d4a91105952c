//! The words of a record as zone files have them (RFC 1035 section 5.1): quotes hold a word together, and a backslash
//! takes the meaning from what follows.

use super::name;

/// The words of a line. Quotes and backslashes are left in them.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend([c, chars.next()?]),
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    (!quoted).then_some(words)
}

/// What a word means: the bytes between its quotes, if it has such, without backslashes.
pub(super) fn meaning(word: &str) -> Option<Vec<u8>> {
    let inner = match word.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => word,
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => bytes.extend(name::escaped(&mut chars)?),
            '"' => return None,
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Some(bytes)
}

/// Bytes as they stand between quotes, and in a word without any if there is no space in them.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_and_backslashes_hold_words_together() {
        for (line, seen) in [
            ("", &[][..]),
            ("  10\t mx1.example.org.  ", &["10", "mx1.example.org."]),
            (r#""a b" "c" d\ e"#, &[r#""a b""#, r#""c""#, r"d\ e"]),
            (r#"alpn="h2,h3" x"#, &[r#"alpn="h2,h3""#, "x"]),
            (r#""say \"hi\"""#, &[r#""say \"hi\"""#]),
        ] {
            assert_eq!(words(line).expect(line), seen, "{line}");
        }
        for line in [r#""open"#, "end\\", r#"a "b"#] {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn a_word_means_what_is_in_it() {
        for (word, seen) in [
            ("plain", &b"plain"[..]),
            (r#""a b""#, b"a b"),
            (r#""say \"hi\" \\ \195\164""#, b"say \"hi\" \\ \xc3\xa4"),
            ("\"ä\"", b"\xc3\xa4"),
            ("\"\"", b""),
        ] {
            assert_eq!(meaning(word).expect(word), seen);
        }
        for word in ["\"", "\"a\"b\"", "a\"", "\\", "\\1", "\\999", "\"\\\""] {
            assert_eq!(meaning(word), None, "{word}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,60}|[a\" \\\\0-9]{0,60}") {
            for word in words(&line).unwrap_or_default() {
                _ = meaning(&word);
            }
        }

        #[test]
        fn what_is_escaped_is_one_word_and_means_the_same(bytes: Vec<u8>) {
            let line = format!("\"{}\"", escape(&bytes));
            prop_assert_eq!(&words(&line).expect("a line"), std::slice::from_ref(&line));
            prop_assert_eq!(meaning(&line).expect("a word"), bytes);
        }
    }
}
