//! Reading what a log has grown by.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{DirEntryExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    cursor::Cursor,
    lines::{LINE_MAX, Lines, Patterns, Tally},
};

/// Most bytes that are read of a file at one look. Of more, the last are read: they decide.
const READ_MAX: u64 = 64 << 20;

/// Most names of a folder that are looked through for a file that was renamed.
const NAMES_MAX: usize = 10_000;

/// What was read.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) cursor: Cursor,
    pub(super) tally: Tally,
    pub(super) came: Came,
    /// Bytes that were too many to be read.
    pub(super) skipped: u64,
    /// Bytes that are left for the next look, for want of time.
    pub(super) left: u64,
}

/// How a file was come upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// For the first time: it begins at its end.
    First,
    /// Where it was left.
    Again,
    /// It was not there before.
    New,
    /// Another has taken its place; whether the rest of the old one was found and read.
    Rotated(bool),
    /// It has become shorter.
    Truncated,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TailError {
    #[error("does not exist")]
    Missing,
    #[error("is no regular file: only such a one can be read from where it was left")]
    NoFile,
    #[error("cannot be read: {0}; may the user of this program read it?")]
    Io(#[from] io::Error),
}

/// Reads on from the cursor, until the end of the file or of the time.
pub(super) fn tail(
    path: &str,
    cursor: Option<Cursor>,
    patterns: &Patterns,
    end: Instant,
) -> Result<Tail, TailError> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => TailError::Missing,
        _ => error.into(),
    })?;
    // A pipe would be waited for when it is opened.
    if !metadata.is_file() {
        return Err(TailError::NoFile);
    }
    // It is opened even if there is nothing to read, so that one that may not be read is found out at once.
    let file = File::open(path)?;
    let (ino, dev, size) = (metadata.ino(), metadata.dev(), metadata.len());
    let failing = cursor.as_ref().and_then(|cursor| cursor.failing);
    let mut reading = Reading { lines: Lines::new(patterns), skipped: 0, left: 0, end };
    // Where a line begins that had no end before and has none now.
    let mut unended = None;
    let (came, from) = match cursor {
        None => (Came::First, size),
        Some(Cursor { at: None, .. }) => (Came::New, 0),
        Some(Cursor { ino: old, dev: on, at: Some(at), line, .. }) if (old, on) != (ino, dev) => {
            let rest = renamed(Path::new(path), old, on);
            let found = rest.is_some_and(|(file, size)| {
                let from = if size > at { line.unwrap_or(at) } else { size };
                // The rest of the old file is a gift: what cannot be read of it is as if it had not been found.
                reading.read(file, from, size).is_ok()
            });
            // There will be no other look at it.
            reading.skipped += std::mem::take(&mut reading.left);
            (Came::Rotated(found), 0)
        }
        Some(Cursor { at: Some(at), .. }) if size < at => (Came::Truncated, 0),
        Some(Cursor { at: Some(at), line, .. }) if size == at => {
            unended = line;
            (Came::Again, size)
        }
        Some(Cursor { at: Some(at), line, .. }) => (Came::Again, line.unwrap_or(at)),
    };
    let (at, line) = reading.read(file, from, size)?;
    let Reading { lines, skipped, left, .. } = reading;
    let tally = lines.tally();
    let failing = tally.last.as_ref().map(|(fails, _)| *fails).or(failing);
    let cursor =
        Cursor { path: path.into(), ino, dev, at: Some(at), line: line.or(unended), failing };
    Ok(Tail { cursor, tally, came, skipped, left })
}

struct Reading<'a> {
    lines: Lines<'a>,
    skipped: u64,
    left: u64,
    end: Instant,
}

impl Reading<'_> {
    /// Reads a file from one place to another. Returns the place that was reached, and where the last line begins if it
    /// has no end.
    fn read(&mut self, mut file: File, from: u64, to: u64) -> io::Result<(u64, Option<u64>)> {
        let begin = from.max(to.saturating_sub(READ_MAX));
        self.skipped += begin - from;
        self.lines.begin(begin != from);
        file.seek(SeekFrom::Start(begin))?;
        let mut file = file.take(to.saturating_sub(begin));
        let mut buffer = vec![0; 64 * 1024];
        let mut at = begin;
        while at < to {
            if Instant::now() >= self.end {
                self.left += to - at;
                // A line that is half read is read again, unless it is one of those that are cut.
                let open = self.lines.open();
                return Ok((if open <= LINE_MAX as u64 { at - open } else { at }, None));
            }
            let bytes = file.read(&mut buffer)?;
            // It has become shorter meanwhile, which the next look finds out.
            if bytes == 0 {
                break;
            }
            self.lines.feed(&buffer[..bytes]);
            at += bytes as u64;
        }
        let open = self.lines.open();
        if open == 0 {
            return Ok((at, None));
        }
        self.lines.end();
        Ok((at, (open <= LINE_MAX as u64).then_some(at - open)))
    }
}

/// The file that had the name before and was given another in the same folder, as logs are rotated, and its size.
fn renamed(path: &Path, ino: u64, dev: u64) -> Option<(File, u64)> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let found: PathBuf = fs::read_dir(path.parent()?)
        .ok()?
        .take(NAMES_MAX)
        .flatten()
        // An inode is used again for other files, which have other names.
        .find(|entry| entry.ino() == ino && entry.file_name().to_string_lossy().starts_with(&stem))?
        .path();
    let same = |found: &Metadata| found.is_file() && (found.ino(), found.dev()) == (ino, dev);
    let metadata = fs::metadata(&found).ok().filter(same)?;
    Some((File::open(found).ok()?, metadata.len()))
}
