//! Texts cut to what fits.

/// Most bytes of an answer that are told.
const ANSWER: usize = 300;

/// The beginning of a text whose characters have no more than `most` in all, each counted by `size`. Where something is
/// left out there is `…` at its end, which is counted too.
pub(super) fn cut(text: &str, most: usize, size: fn(char) -> usize) -> String {
    if text.chars().map(size).sum::<usize>() <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(size('…'));
    let fits = |c: &char| match room.checked_sub(size(*c)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let mut beginning: String = text.chars().take_while(fits).collect();
    if size('…') <= most {
        beginning.push('…');
    }
    beginning
}

/// A character is one.
pub(super) fn chars(_: char) -> usize {
    1
}

/// What the other side said, in one line.
pub(super) fn line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(&said[..said.len().min(4 * ANSWER)]);
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    cut(&line, ANSWER, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert_eq!(cut("short", 5, chars), "short");
        assert_eq!(cut("longer", 5, chars), "long…");
        assert_eq!(cut("äöü", 5, char::len_utf8), "ä…");
        assert_eq!(cut("🐕🐕🐕", 5, char::len_utf16), "🐕🐕…");
        assert_eq!(cut("any", 0, chars), "");
    }

    #[test]
    fn what_the_other_side_says_is_told_on_one_line_and_in_bounds() {
        assert_eq!(line(b" <p>bad\r\n token\x07</p> "), "<p>bad token</p>");
        assert_eq!(line(b""), "");
        assert_eq!(line(&[b'x'; 100_000]).len(), ANSWER);
        assert!(line("ä".repeat(1000).as_bytes()).ends_with('…'));
    }

    proptest! {
        #[test]
        fn nothing_cut_is_too_long(text: String, most in 0_usize..40) {
            for size in [chars as fn(char) -> usize, char::len_utf8, char::len_utf16] {
                let found = cut(&text, most, size);
                prop_assert!(found.chars().map(size).sum::<usize>() <= most);
                prop_assert!(found == text || text.starts_with(found.trim_end_matches('…')));
            }
        }

        #[test]
        fn an_answer_is_one_line(said: Vec<u8>) {
            prop_assert!(!line(&said).chars().any(char::is_control));
        }
    }
}
