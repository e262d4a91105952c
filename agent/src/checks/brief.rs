//! The beginning of something that is written out, without ever having the rest of it: what others send is at its largest
//! once it is text.

use std::fmt::{self, Write as _};

/// At most so many bytes of a thing as text, and whether that is all.
pub(super) fn brief(thing: &impl fmt::Display, most: usize) -> (String, bool) {
    let mut begin = Begin { text: String::new(), most };
    let whole = write!(begin, "{thing}").is_ok();
    (begin.text, whole)
}

struct Begin {
    text: String,
    most: usize,
}

impl fmt::Write for Begin {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.most - self.text.len();
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_beginning_is_one_and_is_short(text in "\\PC{0,20}", number: u64, most in 0..40_usize) {
            let whole = format!("{text}{number}");
            let (begin, all) = brief(&format_args!("{text}{number}"), most);
            prop_assert!(whole.starts_with(&begin) && begin.len() <= most);
            prop_assert_eq!(all, whole.len() <= most);
            prop_assert!(all || begin.len() + 4 > most);
        }
    }
}
