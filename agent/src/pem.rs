//! Certificates and keys in PEM files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

/// Longest file that is read. A bundle of all authorities of a system has a quarter of it.
const FILE_BYTES: u64 = 1024 * 1024;

/// Why certificates or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// It is none that would be read.
    #[error("{} is no file of at most 1 MiB", .0.display())]
    NoFile(PathBuf),
    /// There is no certificate in it.
    #[error("{} has no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in it. What the parser says could be a part of the key.
    #[error("{} has no private key in PEM form", .0.display())]
    NoKey(PathBuf),
    /// The two do not belong together, or are of a kind that the library does not know.
    #[error("the key in {} cannot be used with the certificate in {}", .key.display(), .cert.display())]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

/// A server's certificate, with those of authorities between behind it, and its key, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificates.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl PairFiles {
    /// Reads both, and makes sure that they belong together. Blocks.
    ///
    /// # Errors
    /// [`PemError`].
    pub fn read(&self) -> Result<CertifiedKey, PemError> {
        let chain = certificates(&self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&small(&self.key)?);
        let key = key.map_err(|_| PemError::NoKey(self.key.clone()))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| {
            PemError::Pair { cert: self.cert.clone(), key: self.key.clone(), source }
        })
    }

    /// Whether it is the key that an error of these two is about, and not the certificate.
    pub fn blames_key(&self, error: &PemError) -> bool {
        match error {
            PemError::Read { path, .. } | PemError::NoFile(path) => *path != self.cert,
            PemError::NoCertificate(_) => false,
            PemError::NoKey(_) | PemError::Pair { .. } => true,
        }
    }
}

/// All certificates in a file, at least one. Blocks.
///
/// # Errors
/// [`PemError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = small(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(PemError::NoCertificate(path.into())),
    }
}

fn small(path: &Path) -> Result<Vec<u8>, PemError> {
    let failed = |source| PemError::Read { path: path.into(), source };
    // A pipe would be waited for, and a device may have no end.
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() || about.len() > FILE_BYTES {
        return Err(PemError::NoFile(path.into()));
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;

    #[test]
    fn what_cannot_be_used_says_which_file_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let pair = || rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a pair");
        let (one, other) = (pair(), pair());
        fs::write(file("cert"), one.cert.pem()).expect("written");
        fs::write(file("key"), one.signing_key.serialize_pem()).expect("written");
        fs::write(file("other"), other.signing_key.serialize_pem()).expect("written");
        fs::write(file("text"), "hello").expect("written");
        let files = |cert: &str, key: &str| PairFiles { cert: file(cert), key: file(key) };
        assert_eq!(files("cert", "key").read().expect("a pair").cert.len(), 1);
        for (cert, key, blames_key, words) in [
            ("none", "key", false, "none: No such file"),
            ("cert", "none", true, "none: No such file"),
            ("text", "key", false, "text has no certificate"),
            ("cert", "text", true, "text has no private key"),
            ("cert", "other", true, "keys may not be consistent"),
            ("", "key", false, "is no file"),
        ] {
            let files = files(cert, key);
            let error = files.read().expect_err("unusable");
            assert_eq!(files.blames_key(&error), blames_key, "{error}");
            assert!(chain(&error).contains(words), "{}", chain(&error));
        }
        let both = one.cert.pem() + &one.signing_key.serialize_pem();
        fs::write(file("both"), both).expect("written");
        assert!(files("both", "both").read().is_ok());
        let error = PemError::NoKey(file("both"));
        assert!(files("both", "both").blames_key(&error));
    }
}
