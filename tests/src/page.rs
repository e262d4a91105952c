//! The pages of a running site, asked as by a person who takes every certificate.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::wait::PATIENCE;

/// Somebody who looks at the pages on a port of this machine.
#[derive(Debug)]
pub struct Page {
    port: u16,
    cookie: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// The fields above the body, one a line.
    pub head: String,
    /// The body.
    pub body: String,
    /// The certificate that was shown, DER.
    pub certificate: Vec<u8>,
}

impl Page {
    /// Nobody yet.
    pub fn at(port: u16) -> Self {
        Self { port, cookie: String::new() }
    }

    /// Logs in.
    ///
    /// # Errors
    /// The pages do not answer, or the password is wrong.
    pub async fn log_in(port: u16, user: &str, password: &str) -> Result<Self> {
        let form = format!("username={user}&password={password}");
        let answer = Self::at(port).ask("POST", "/login", &form).await?;
        ensure!(answer.status == 303, "not logged in: {answer:?}");
        let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).context("no cookie")?;
        Ok(Self { port, cookie: cookie.into() })
    }

    /// Looks at a page.
    ///
    /// # Errors
    /// The pages do not answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "").await
    }

    async fn ask(&self, method: &str, path: &str, form: &str) -> Result<Answer> {
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{}\r\naccept: text/html\r\ncookie: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{form}",
            self.port,
            self.cookie,
            form.len(),
        );
        let shown = Arc::new(Shown::default());
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(shown.clone())
            .with_no_client_auth();
        let answered = async {
            let socket = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let name = ServerName::try_from("localhost")?;
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
            stream.write_all(text.as_bytes()).await?;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await?;
            anyhow::Ok(bytes)
        };
        let bytes = timeout(PATIENCE, answered).await.context("no answer in time")??;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").context("no answer of HTTP")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let certificate = shown.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Answer { status, head: head.into(), body: body.into(), certificate })
    }
}

/// Takes every certificate, and keeps the last.
#[derive(Debug, Default)]
struct Shown(Mutex<Vec<u8>>);

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = leaf.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}
