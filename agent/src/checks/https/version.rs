//! Which HTTP is spoken.

use http::Version;

use crate::checks::{Opt, Options};

const WORDS: &[&str] = &["1.1", "2", "auto"];

/// The option `http`.
pub(super) const HTTP: Opt = Opt::choice(
    "http",
    WORDS,
    "1.1",
    "version that is spoken; auto takes HTTP/2 where the server offers it over TLS",
);

/// Which versions are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// HTTP/1.1.
    One,
    /// HTTP/2, without TLS too.
    Two,
    /// HTTP/2 where the server offers it over TLS.
    Best,
}

impl Versions {
    /// Reads `http`.
    pub(super) fn read(options: &mut Options<'_>) -> Self {
        match options.choice("http", WORDS) {
            Some("2") => Self::Two,
            Some("auto") => Self::Best,
            _ => Self::One,
        }
    }

    /// What a handshake offers (ALPN), best first. With HTTP/1.1 alone it offers nothing, which every server understands.
    pub(super) fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::One => &[],
            Self::Two => &[b"h2"],
            Self::Best => &[b"h2", b"http/1.1"],
        }
    }

    /// What is spoken without a handshake.
    pub(super) fn without_tls(self) -> Version {
        if self == Self::Two { Version::HTTP_2 } else { Version::HTTP_11 }
    }

    /// What is spoken once the server has chosen.
    ///
    /// # Errors
    /// It chose none that may be spoken: a clause that goes on from the service.
    pub(super) fn agreed(self, chosen: Option<&[u8]>) -> Result<Version, String> {
        match (self, chosen) {
            (Self::Two | Self::Best, Some(b"h2")) => Ok(Version::HTTP_2),
            (Self::Two, _) => Err("it does not offer HTTP/2".into()),
            _ => Ok(Version::HTTP_11),
        }
    }
}
