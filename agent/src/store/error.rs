//! What can go wrong with a store, and the way out.

use std::{io, path::PathBuf};

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has this site open.
    #[error(
        "{path} is in use by another fletchck; stop that one first, or give this one a site of its own"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is there and is no store, or is damaged.
    #[error(
        "{path} is damaged or no store of fletchck; put back a copy of it, or move it away to begin with the states \
         in the configuration (mv {path} {path}.damaged)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {path}; see that this user may, and that no other program holds it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The file was written by a newer version of the program.
    #[error(
        "{path} was written by a newer version of fletchck (store version {found}); update this one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// The file cannot be opened or made.
    #[error("cannot open {path}; see that its folder is there and may be written by this user")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A statement failed; nothing of its transaction was kept.
    #[error("the store refused a change")]
    Statement(#[from] rusqlite::Error),
    /// The store's thread could not be started.
    #[error("no thread for the store")]
    Thread(#[source] io::Error),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
