//! Writing a file so that it is either the old one or the new one, whenever the power goes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use super::LoadError;

/// Why a file was not written. It is then what it was before.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A step failed.
    #[error("cannot save {path}: {step}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What was being done, and what to do about it.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file belongs to someone else, who could no longer read it.
    #[error("cannot save {path}: it belongs to user {owner}; run this as that user or as root")]
    Owner {
        /// The file.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
    /// What is to be changed is no configuration.
    #[error("nothing was saved")]
    Load(#[source] Box<LoadError>),
    /// The language of the file cannot say this.
    #[error("cannot save {path}: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it cannot say.
        what: String,
    },
}

/// Writes a file as a whole: into a new one in the same folder, which is forced to the disk and then takes the old one's
/// name. Only its owner may read it, and the owner stays who it was. The old one is kept as `NAME.bak`. A link is
/// followed, so that it stays one.
///
/// # Errors
/// Which step failed. The old file is untouched then, and nothing else is left behind.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), SaveError> {
    let target = target(path)?;
    let fail = |step| {
        let path = path.to_path_buf();
        move |source| SaveError::Write { path, step, source }
    };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let old = match fs::metadata(&target) {
        Ok(about) => Some(about),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(fail("cannot look at the old one")(e)),
    };
    const FOLDER: &str = "cannot write into its folder; allow that, or free some space";
    if let Some(old) = &old {
        let copy = fs::read(&target).map_err(fail("cannot read the old one"))?;
        let backup = Temporary::new(&folder, &target, &copy).map_err(fail(FOLDER))?;
        keep_owner(&backup, old, path)?;
        backup
            .becomes(&beside(&target, ".bak"))
            .map_err(fail("cannot keep the old one as .bak"))?;
    }
    let new = Temporary::new(&folder, &target, content).map_err(fail(FOLDER))?;
    if let Some(old) = &old {
        keep_owner(&new, old, path)?;
    }
    new.becomes(&target).map_err(fail("cannot put the new one in its place"))?;
    // Without this the new name may be lost with the power, although the file is not.
    File::open(&folder)
        .and_then(|folder| folder.sync_all())
        .map_err(fail("it is written, but the folder cannot be forced to the disk"))
}

/// The file that a path leads to, through links, even if it is not there yet.
pub(super) fn target(path: &Path) -> Result<PathBuf, SaveError> {
    let mut target = path.to_path_buf();
    for _ in 0..40 {
        match fs::read_link(&target) {
            Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
            // Not a link, or not there.
            Err(_) => return Ok(target),
        }
    }
    let source = io::Error::other("too many links");
    Err(SaveError::Write { path: path.into(), step: "cannot follow the link", source })
}

fn keep_owner(file: &Temporary, old: &fs::Metadata, path: &Path) -> Result<(), SaveError> {
    let new = file.file.metadata().map_err(|source| SaveError::Write {
        path: path.into(),
        step: "cannot look at the new one",
        source,
    })?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    match fchown(&file.file, Some(old.uid()), Some(old.gid())) {
        Ok(()) => Ok(()),
        // Only the group differs, and that has no rights in the file.
        Err(_) if new.uid() == old.uid() => Ok(()),
        Err(_) => Err(SaveError::Owner { path: path.into(), owner: old.uid() }),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A file that is removed again unless it takes a name.
struct Temporary {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Temporary {
    fn new(folder: &Path, target: &Path, content: &[u8]) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".{name}.{}-{number}.tmp", process::id()));
            let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match opened {
                Ok(file) => {
                    let mut temporary = Self { path, file, kept: false };
                    temporary.file.write_all(content)?;
                    temporary.file.sync_all()?;
                    return Ok(temporary);
                }
                // Left by a process of the same number that was killed.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn becomes(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // The error that led here is the one to tell.
            _ = fs::remove_file(&self.path);
        }
    }
}
