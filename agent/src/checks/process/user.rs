//! Users by name and by number.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
};

/// Largest file that is read, in bytes.
const MOST: u64 = 16 << 20;

/// The number of a user: given as one, or as a name in this file of the form of `/etc/passwd`.
pub(super) fn number(user: &str, passwd: &str) -> Result<u32, String> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let file = File::open(passwd).map_err(|error| format!("{passwd} cannot be read: {error}"))?;
    BufReader::new(file.take(MOST))
        .split(b'\n')
        .map_while(Result::ok)
        .find_map(|line| entry(&line, user))
        .ok_or_else(|| format!("there is no user `{user}` in {passwd}; one of a directory service is given by its number (`id -u {user}`)"))
}

/// The number in a line `name:x:1000:…`, if it is of this user.
fn entry(line: &[u8], user: &str) -> Option<u32> {
    let mut fields = line.split(|byte| *byte == b':');
    if fields.next()? != user.as_bytes() {
        return None;
    }
    std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!(number("root", "/etc/passwd"), Ok(0));
        assert_eq!(number("4711", "/no/such"), Ok(4711));
        let absent = number("no such", "/etc/passwd").expect_err("no such user");
        assert!(absent.starts_with("there is no user `no such` in /etc/passwd;"), "{absent}");
        assert!(number("root", "/no/such").expect_err("no file").contains("cannot be read"));
        assert_eq!(entry(b"www:x:33:33:www:/var/www:/bin/sh", "www"), Some(33));
        for other in [&b"www2:x:33"[..], b"www", b"www:x", b"www:x:", b"www:x:-1", b"www:x:\xff"] {
            assert_eq!(entry(other, "www"), None);
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = entry(&line, "");
        }
    }
}
