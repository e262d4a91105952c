//! Noticing that the configuration changed.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tracing::{debug, warn};

use super::{atomic::target, gather::is_fragment};

/// A change counts as finished once nothing happened for this long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// Longest wait for [`QUIET`], for files that are written again and again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the configuration should be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGHUP: someone asked.
    Signal,
    /// A file has another content.
    File,
}

/// Why changes cannot be noticed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The signal cannot be had.
    #[error("cannot listen for SIGHUP")]
    Signal(#[source] std::io::Error),
    /// The folder cannot be watched.
    #[error("cannot watch {folder}; changes of the configuration take effect with SIGHUP only")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: notify::Error,
    },
}

/// Tells whenever the configuration should be read again.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    hangups: Signal,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    /// Kept, for it stops when it is dropped.
    watcher: RecommendedWatcher,
    touched: mpsc::Receiver<()>,
    /// Of everything that was read last.
    content: u64,
    fragments_watched: bool,
}

impl Watch {
    /// Begins to watch a configuration, the fragments beside it and, through a link, the file it leads to.
    ///
    /// Folders are watched rather than files, because a file that is replaced takes its watch with it.
    ///
    /// # Errors
    /// SIGHUP cannot be had. A folder that cannot be watched is only logged: SIGHUP still works.
    pub fn new(path: &Path) -> Result<Self, WatchError> {
        let path = std::path::absolute(path).map_err(WatchError::Signal)?;
        let hangups = signal(SignalKind::hangup()).map_err(WatchError::Signal)?;
        let files = match Files::new(&path) {
            Ok(files) => Some(files),
            Err(e) => {
                warn!(error = %format!("{:#}", anyhow::Error::from(e)), "configuration is not watched");
                None
            }
        };
        Ok(Self { path, hangups, files })
    }

    /// Waits for the next cause to read the configuration again. Losing the race against something else loses nothing.
    pub async fn changed(&mut self) -> Cause {
        let Self { path, hangups, files } = self;
        let file = async {
            match files {
                Some(files) => files.changed(path).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangups.recv() => {}
            () = file => return Cause::File,
        }
        // What is read now because of the signal need not be read again because of the file.
        if let Some(files) = &mut self.files {
            files.content = content(&self.path);
        }
        Cause::Signal
    }
}

impl Files {
    fn new(path: &Path) -> Result<Self, WatchError> {
        // One message is as good as many: it says that something happened, not what.
        let (tell, touched) = mpsc::channel(1);
        let folder = folder(path);
        let failed = |source| WatchError::Folder { folder: folder.clone(), source };
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            // Full means that it is told already.
            Ok(_) => _ = tell.try_send(()),
            Err(e) => {
                warn!(error = %e, "a change of the configuration may have been missed");
                _ = tell.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(failed)?;
        watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(failed)?;
        let linked = target(path).map(|target| self::folder(&target)).unwrap_or(folder.clone());
        if linked != folder {
            watcher.watch(&linked, RecursiveMode::NonRecursive).map_err(failed)?;
        }
        let mut files = Self { watcher, touched, content: content(path), fragments_watched: false };
        files.watch_fragments(path);
        Ok(files)
    }

    async fn changed(&mut self, path: &Path) {
        loop {
            if self.touched.recv().await.is_none() {
                return std::future::pending().await;
            }
            let patience = Instant::now() + PATIENCE;
            // Until it is quiet, or for as long as there is patience.
            while Instant::now() < patience {
                let quiet = (Instant::now() + QUIET).min(patience);
                if timeout_at(quiet, self.touched.recv()).await.is_err() {
                    break;
                }
            }
            self.watch_fragments(path);
            let content = content(path);
            if content != self.content {
                self.content = content;
                return;
            }
            debug!("the folder of the configuration changed, the configuration did not");
        }
    }

    /// The folder of fragments may come and go.
    fn watch_fragments(&mut self, path: &Path) {
        let fragments = folder(path).join("conf.d");
        if !fragments.is_dir() {
            self.fragments_watched = false;
        } else if !self.fragments_watched {
            match self.watcher.watch(&fragments, RecursiveMode::NonRecursive) {
                Ok(()) => self.fragments_watched = true,
                Err(e) => warn!(error = %e, "{} is not watched", fragments.display()),
            }
        }
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_path_buf()
}

/// A number that is another one once a file has another content, is gone, or is new.
fn content(path: &Path) -> u64 {
    let mut hash = DefaultHasher::new();
    let entries = fs::read_dir(folder(path).join("conf.d")).into_iter().flatten().flatten();
    let fragments = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = fragments
        .filter(|file| file.file_name().is_some_and(|n| is_fragment(Path::new(n))))
        .collect();
    files.sort();
    files.insert(0, path.into());
    for file in files {
        file.hash(&mut hash);
        fs::read(&file).ok().hash(&mut hash);
    }
    hash.finish()
}
