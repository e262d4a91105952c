//! Names as zone files have them (RFC 1035 section 5.1): a dot inside of a label and what cannot be printed is escaped.

use hickory_resolver::proto::rr::{Label, Name};

/// Reads a name. A dot at its end makes no difference; letters beyond ASCII become punycode.
pub(super) fn parse(text: &str) -> Option<Name> {
    if text == "." {
        return Some(Name::root());
    }
    let mut labels = Vec::new();
    let mut label = Draft::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => labels.push(std::mem::take(&mut label).done()?),
            '\\' => label.bytes.extend(escaped(&mut chars)?),
            c if c.is_control() || c.is_whitespace() => return None,
            c => label.push(c),
        }
    }
    if !label.bytes.is_empty() {
        labels.push(label.done()?);
    }
    if labels.is_empty() { None } else { Name::from_labels(labels).ok() }
}

/// The name with a dot at its end.
pub(super) fn shown(name: &Name) -> String {
    if name.is_root() {
        return ".".into();
    }
    let mut text = String::new();
    for label in name {
        for byte in label {
            match byte {
                b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => {
                    text.extend(['\\', char::from(*byte)]);
                }
                b'!'..=b'~' => text.push(char::from(*byte)),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
        text.push('.');
    }
    text
}

/// The name in a sentence, which may end with a dot of its own.
pub(super) fn told(name: &Name) -> String {
    let mut text = shown(name);
    if text.len() > 1 {
        text.pop();
    }
    text
}

/// What stands behind a backslash: a byte by its three decimal digits, or a character that is meant as it is.
pub(super) fn escaped(chars: &mut std::str::Chars<'_>) -> Option<Vec<u8>> {
    let first = chars.next()?;
    let Some(mut number) = first.to_digit(10) else {
        return Some(first.to_string().into_bytes());
    };
    for _ in 0..2 {
        number = number * 10 + chars.next()?.to_digit(10)?;
    }
    Some(vec![u8::try_from(number).ok()?])
}

/// A label while it is read.
#[derive(Default)]
struct Draft {
    bytes: Vec<u8>,
    beyond_ascii: bool,
}

impl Draft {
    fn push(&mut self, c: char) {
        self.beyond_ascii |= !c.is_ascii();
        self.bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
    }

    fn done(self) -> Option<Label> {
        if self.beyond_ascii {
            return Label::from_utf8(&String::from_utf8(self.bytes).ok()?).ok();
        }
        Label::from_raw_bytes(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::SizeRange};

    use super::*;

    #[test]
    fn names_are_read_and_shown() {
        for (text, seen) in [
            (".", "."),
            ("org", "org."),
            ("WWW.example.org.", "WWW.example.org."),
            ("_25._tcp.mx_1.example", "_25._tcp.mx_1.example."),
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa."),
            ("john\\.doe.example.org", "john\\.doe.example.org."),
            ("a\\032b.c\\000", "a\\032b.c\\000."),
            ("*.example", "*.example."),
            ("bücher.example", "xn--bcher-kva.example."),
        ] {
            let name = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(shown(&name), seen);
        }
        assert_eq!(told(&Name::root()), ".");
        assert_eq!(told(&parse("a.b.").expect("a name")), "a.b");
    }

    #[test]
    fn what_is_no_name_is_none() {
        let long = "a".repeat(64);
        let longer = ["a"; 200].join(".");
        for text in ["", "..", ".a", "a..b", "a b", "a\\", "a\\25", "a\\256", &long, &longer] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}|[a-z0-9.\\\\]{0,300}") {
            _ = parse(&text);
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(
            labels in prop::collection::vec(
                prop::collection::vec(any::<u8>(), SizeRange::from(1..20)), 0..10)
        ) {
            let name = Name::from_labels(labels).expect("a name");
            let read = parse(&shown(&name)).expect("the same name");
            prop_assert!(read.eq_case(&name));
        }
    }
}
