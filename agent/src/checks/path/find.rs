//! What there is at a path, or at all paths that match a pattern.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
    time::{Instant, SystemTime},
};

use glob::{MatchOptions, Pattern, PatternError};

/// As shells match: a name that begins with a dot must be asked for with one.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// A path with or without `*`, `?` and `[…]` in its parts.
#[derive(Clone, Debug)]
pub(super) struct Place {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Name(PathBuf),
    Pattern(Pattern),
}

/// What was found at one path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// When it was last changed; the beginning of time where the file system does not know.
    pub(super) modified: SystemTime,
    /// Bytes.
    pub(super) size: u64,
    pub(super) form: Form,
}

/// What a path leads to. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    File,
    Folder,
    Other,
}

/// Why a search ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    /// Something is there and may not be looked at, or what lies before the first pattern is not there.
    #[error("{} cannot be looked at: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There are too many entries for the time.
    #[error("there are too many files to look at in time: after {0} of them there was none left")]
    Late(usize),
}

impl Place {
    /// Reads a path. A part with `**` is none: a search has no deeper end than its pattern.
    pub(super) fn read(text: &str) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) if has_pattern(name) => {
                    parts.push(Part::Pattern(Pattern::new(&name.to_string_lossy())?));
                }
                other => match parts.last_mut() {
                    Some(Part::Name(path)) => path.push(other),
                    _ => parts.push(Part::Name(other.as_os_str().into())),
                },
            }
        }
        Ok(Self { parts })
    }

    /// Whether it may be the place of more than one thing.
    pub(super) fn is_pattern(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Pattern(_)))
    }

    /// Shows everything that is there, one after another: a folder of a million files takes no memory.
    pub(super) fn search(
        &self,
        end: Instant,
        show: &mut dyn FnMut(Found),
    ) -> Result<(), FindError> {
        let mut seen = 0;
        descend(PathBuf::new(), &self.parts, &mut Search { end, seen: &mut seen, show })
    }
}

struct Search<'a> {
    end: Instant,
    seen: &'a mut usize,
    show: &'a mut dyn FnMut(Found),
}

/// As deep as the pattern has parts.
fn descend(base: PathBuf, parts: &[Part], search: &mut Search<'_>) -> Result<(), FindError> {
    *search.seen += 1;
    if Instant::now() > search.end {
        return Err(FindError::Late(*search.seen));
    }
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    match part {
        Part::Name(name) => {
            let path = base.join(name);
            if rest.is_empty() { show(path, search) } else { descend(path, rest, search) }
        }
        Part::Pattern(pattern) => {
            let entries = match fs::read_dir(&base) {
                Ok(entries) => entries,
                Err(source) if passing(&source) => return Ok(()),
                Err(source) => return Err(FindError::Io { path: base, source }),
            };
            for entry in entries {
                let entry = entry.map_err(|source| FindError::Io { path: base.clone(), source })?;
                if !pattern.matches_with(&entry.file_name().to_string_lossy(), MATCHING) {
                    continue;
                }
                if rest.is_empty() {
                    show(entry.path(), search)?;
                } else {
                    descend(entry.path(), rest, search)?;
                }
            }
            Ok(())
        }
    }
}

fn show(path: PathBuf, search: &mut Search<'_>) -> Result<(), FindError> {
    *search.seen += 1;
    if Instant::now() > search.end {
        return Err(FindError::Late(*search.seen));
    }
    match fs::metadata(&path) {
        Ok(metadata) => {
            let form = match metadata.file_type() {
                kind if kind.is_file() => Form::File,
                kind if kind.is_dir() => Form::Folder,
                _ => Form::Other,
            };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            (search.show)(Found { path, modified, size: metadata.len(), form });
            Ok(())
        }
        Err(source) if passing(&source) => Ok(()),
        Err(source) => Err(FindError::Io { path, source }),
    }
}

/// Whether an error says no more than that nothing is there, as of what was deleted since its folder was read.
fn passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn has_pattern(name: &OsStr) -> bool {
    name.to_string_lossy().contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(folder: &Path, pattern: &str) -> Vec<String> {
        let mut names = Vec::new();
        let place = Place::read(&format!("{}/{pattern}", folder.display())).expect("a pattern");
        place
            .search(Instant::now() + Duration::from_secs(5), &mut |found| {
                let path = found.path.strip_prefix(folder).expect("below the folder");
                names.push(path.display().to_string());
            })
            .expect("found");
        names.sort();
        names
    }

    #[test]
    fn a_pattern_matches_as_in_a_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["a/db-1.gz", "a/db-2.gz", "a/.hidden.gz", "b/db-3.gz", "b/note", "c"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "x").expect("written");
        }
        let folder = folder.path();
        assert_eq!(names(folder, "a/db-*.gz"), ["a/db-1.gz", "a/db-2.gz"]);
        assert_eq!(names(folder, "*/db-[13].gz"), ["a/db-1.gz", "b/db-3.gz"]);
        assert_eq!(names(folder, "a/.*"), ["a/.hidden.gz"]);
        assert_eq!(names(folder, "?/note"), ["b/note"]);
        assert_eq!(names(folder, "a/../b/note"), ["a/../b/note"]);
        assert_eq!(names(folder, "gone/*"), Vec::<String>::new());
        assert_eq!(names(folder, "c/x"), Vec::<String>::new());
        assert!(Place::read("/a/[").is_err());
    }

    #[test]
    fn a_search_ends_in_time() {
        let place = Place::read("/*").expect("a pattern");
        let late = place.search(Instant::now() - Duration::from_secs(1), &mut drop);
        assert!(matches!(late, Err(FindError::Late(_))));
    }
}
