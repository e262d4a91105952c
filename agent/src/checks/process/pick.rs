//! Which processes are meant.

use std::{
    fs::File,
    io::{self, Read as _},
};

use regex::{Regex, RegexBuilder};

use super::{
    super::Options,
    proc::{Entry, Stat},
};

/// Largest memory of the compiled expression, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// Bytes of a name that the kernel keeps.
const KEPT: usize = 15;

/// What must be true of a process; all that is given must.
#[derive(Debug)]
pub(super) struct Pick {
    pub(super) name: Option<String>,
    pub(super) pattern: Option<Regex>,
    pub(super) user: Option<String>,
    pub(super) pid_file: Option<String>,
}

impl Pick {
    /// Reads `name`, `pattern`, `user` and `pidFile`.
    pub(super) fn read(options: &mut Options<'_>) -> Self {
        let mut text = |name| options.text(name).map(str::trim).filter(|text| !text.is_empty());
        let (name, user, pid_file) = (text("name"), text("user"), text("pidFile"));
        if name.is_some_and(|name| name.starts_with('/')) {
            let right = "the name alone, or the whole path in `pattern`";
            options.fault("name", "it is a path, and a process has only its last part", right);
        }
        if pid_file.is_some_and(|path| !path.starts_with('/')) {
            options.fault("pidFile", "it is no absolute path", "a path that begins with `/`");
        }
        if name.or(user).or(pid_file).is_none() && !options.given("pattern") {
            let right = "`name`, `pattern`, `user` or `pidFile`";
            options.fault("name", "nothing says which process is meant", right);
        }
        let [name, user, pid_file] = [name, user, pid_file].map(|text| text.map(str::to_owned));
        Self { name, pattern: pattern(options), user, pid_file }
    }

    /// The process, if it runs and all is true of it. What costs least is asked first, and `uid` is the number of the user.
    pub(super) fn picks(
        &self,
        entry: &mut Entry<'_>,
        uid: Option<u32>,
        own: Option<u32>,
    ) -> io::Result<Option<Stat>> {
        if let Some(uid) = uid
            && entry.user()? != uid
        {
            return Ok(None);
        }
        let stat = entry.stat()?;
        if !stat.runs {
            return Ok(None);
        }
        if let Some(name) = &self.name
            && stat.name != name.as_bytes()
            && (stat.name != cut(name) || !calls(entry.arguments()?, name))
        {
            return Ok(None);
        }
        if let Some(pattern) = &self.pattern {
            if Some(entry.pid) == own {
                return Ok(None);
            }
            let line = line(entry.arguments()?);
            if !pattern.is_match(&line) || checks(&line) {
                return Ok(None);
            }
        }
        Ok(Some(stat))
    }

    /// What is meant, behind `process` or `processes`.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        if let Some(name) = &self.name {
            words += &format!(" named `{name}`");
        }
        if let Some(user) = &self.user {
            words += &format!(" of user `{user}`");
        }
        if let Some(pattern) = &self.pattern {
            words += &format!(" with a command line that matches `{pattern}`");
        }
        if let Some(file) = &self.pid_file {
            words += &format!(" that {file} names");
        }
        words
    }
}

fn pattern(options: &mut Options<'_>) -> Option<Regex> {
    let text = options.text("pattern")?;
    if text.is_empty() {
        options.fault("pattern", "it is empty, and would match every process", "an expression");
        return None;
    }
    match RegexBuilder::new(text).size_limit(SIZE_MAX).build() {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let said = error.to_string();
            let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let right = "one in the syntax of Rust, RE2 or Go, without look-around";
            options.fault("pattern", format!("it is no regular expression: {said}"), right);
            None
        }
    }
}

/// The number in a file that a program has written it to.
pub(super) fn pid(file: &str) -> Result<u32, String> {
    let mut text = Vec::new();
    File::open(file).and_then(|file| file.take(64).read_to_end(&mut text)).map_err(|error| {
        match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            _ => format!("it cannot be read: {error}"),
        }
    })?;
    number(&text).ok_or_else(|| "there is no number of a process in it".to_owned())
}

/// The first word of a file, if it is the number of a process.
fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.split_whitespace().next()?.parse().ok().filter(|pid| *pid > 0)
}

/// As much of a name as the kernel keeps.
fn cut(name: &str) -> &[u8] {
    &name.as_bytes()[..name.len().min(KEPT)]
}

/// Whether a command line calls a program of this name, by itself or in an interpreter.
fn calls(arguments: &[u8], name: &str) -> bool {
    arguments.split(|byte| *byte == 0).take(2).any(|argument| {
        argument.rsplit(|byte| *byte == b'/').next().is_some_and(|last| last == name.as_bytes())
    })
}

/// A command line as one text.
fn line(arguments: &[u8]) -> String {
    let line = String::from_utf8_lossy(arguments).replace('\0', " ");
    line.trim_end().to_owned()
}

/// Whether it is somebody who runs `fletchck check NAME`, also by `sudo` or in a shell: the name may be that of the program
/// which is looked for.
fn checks(line: &str) -> bool {
    let mut words = line.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let own = |word: &str| matches!(word.rsplit('/').next(), Some("fletchck" | "fletchck-agent"));
    words.any(own) && words.any(|word| word == "check")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_asks_for_a_check_is_not_what_it_looks_for() {
        for line in [
            "fletchck check backup.sh",
            "sudo -u root /usr/bin/fletchck-agent --config a.conf check backup.sh --explain",
            "sh -c 'fletchck' check backup.sh | tee log",
        ] {
            assert!(checks(line), "{line}");
        }
        for line in [
            "/bin/sh /opt/backup.sh check",
            "fletchck --config backup.sh.conf",
            "tail -f /var/log/fletchck/backup.sh",
            "/usr/bin/python3 /usr/local/bin/fletchck",
            "check fletchck",
        ] {
            assert!(!checks(line), "{line}");
        }
    }

    #[test]
    fn a_long_name_is_found_in_the_command_line() {
        assert_eq!(cut("systemd-journald"), b"systemd-journal");
        assert!(calls(b"/lib/systemd/systemd-journald\0", "systemd-journald"));
        assert!(calls(b"/bin/sh\0/opt/a-long-name-of-a-script\0x\0", "a-long-name-of-a-script"));
        assert!(!calls(b"/bin/sh\0-c\0/opt/a-long-name-of-a-script\0", "a-long-name-of-a-script"));
        assert!(!calls(b"", "systemd-journald"));
        assert_eq!(line(b"a\0b c\0\xff\0\0"), "a b c \u{fffd}");
    }

    #[test]
    fn a_file_names_a_process() {
        assert_eq!(number(b"812\n"), Some(812));
        assert_eq!(number(b" 812 nginx"), Some(812));
        for text in [&b""[..], b"\n", b"0", b"-1", b"nginx", b"99999999999", b"\xff"] {
            assert_eq!(number(text), None);
        }
    }

    proptest! {
        #[test]
        fn no_command_line_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            calls(&bytes, "name");
            checks(&line(&bytes));
            let _ = number(&bytes);
        }

        #[test]
        fn any_number_in_a_file_is_read(pid in 1..=u32::MAX, end in "[ \n\t]*") {
            prop_assert_eq!(number(format!("{pid}{end}").as_bytes()), Some(pid));
        }
    }
}
