//! What a plugin of Nagios says: a sentence, lines that explain it, and numbers behind a `|`.

use super::number::{Number, numbers};

/// What a plugin has said.
#[derive(Debug, Default, PartialEq)]
pub(in crate::checks) struct Said {
    /// Its first line that is not empty.
    pub(super) sentence: String,
    /// The lines after it.
    pub(super) more: Vec<String>,
    /// Its numbers, in their order.
    pub(super) numbers: Vec<Number>,
}

impl Said {
    /// Reads the output of a plugin. Bytes that are no UTF-8 and control characters become U+FFFD.
    pub(in crate::checks) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut said = Self::default();
        // The second `|` begins a part of nothing but numbers, which goes on to the end.
        let mut only_numbers = false;
        for line in text.lines() {
            if only_numbers {
                numbers(line, &mut said.numbers);
                continue;
            }
            let (words, tail) = line.split_once('|').unwrap_or((line, ""));
            numbers(tail, &mut said.numbers);
            let words = plain(words.trim_end());
            if said.sentence.is_empty() {
                said.sentence = words.trim_start().to_owned();
                continue;
            }
            only_numbers = line.contains('|');
            if !words.is_empty() {
                said.more.push(words);
            }
        }
        said
    }
}

/// A line that a command has chosen, without control characters.
fn plain(line: &str) -> String {
    let letter = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    line.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> (String, Vec<String>, Vec<String>) {
        let said = Said::read(text.as_bytes());
        (said.sentence, said.more, said.numbers.iter().map(Number::to_string).collect())
    }

    #[test]
    fn a_sentence_more_lines_and_numbers_are_told_apart() {
        let (sentence, more, numbers) = said(
            "DISK OK - free: / 7 MiB | /=20B;30;40;0;50\n/ 7 MiB\n\n/home 8 MiB | /home=5B\n/var=6B\n",
        );
        assert_eq!(sentence, "DISK OK - free: / 7 MiB");
        assert_eq!(more, ["/ 7 MiB", "/home 8 MiB"]);
        assert_eq!(
            numbers,
            ["/: 20B, warning over 30, critical over 40, 0 to 50", "/home: 5B", "/var: 6B"]
        );
    }

    #[test]
    fn the_first_line_with_something_in_it_is_the_sentence() {
        let refused = "\nconnect to address 127.0.0.1: Connection refused\r\nHTTP CRITICAL\r\n";
        let (sentence, more, numbers) = said(refused);
        assert_eq!(sentence, "connect to address 127.0.0.1: Connection refused");
        assert_eq!(more, ["HTTP CRITICAL"]);
        assert!(numbers.is_empty());
        assert_eq!(said("\u{1b}[31mred\tline").0, "\u{fffd}[31mred line");
        assert_eq!(said(""), <_>::default());
        assert_eq!(said("| a=1").2, ["a: 1"]);
    }

    proptest! {
        #[test]
        fn no_output_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let said = Said::read(&bytes);
            prop_assert!(!said.sentence.chars().any(char::is_control));
        }

        #[test]
        fn no_output_with_numbers_is_too_strange(text in "[a-z'=|;:@~.,0-9%\n -]{0,200}") {
            let said = Said::read(text.as_bytes());
            for number in said.numbers {
                prop_assert!(number.to_string().len() < 512);
            }
        }
    }
}
