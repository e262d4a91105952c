//! One request to a web service: how it is sent, and what its answer means.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::{
    Client, Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::{TellError, cut};
use crate::{
    chain,
    options::{Opt, Options},
};

/// Shortest text that is taken for a secret in an answer: what is shorter may be any word.
const SECRET: usize = 6;

/// Most bytes of an answer that are read.
const READ: usize = 64 * 1024;

/// Option for the time that a service has.
pub(super) const TIMEOUT: Opt =
    Opt::seconds("timeout", "10", "time within which the service must have answered, in seconds");

/// Option for the certificates that a service is trusted by.
pub(super) const CA_FILE: Opt = Opt::text(
    "cafile",
    "the system's",
    "file with the PEM certificates that the service is trusted by",
);

/// What is asked of a web service.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// What is not to be told, should the service say it.
    hidden: Vec<String>,
}

impl Request {
    /// A POST of JSON.
    pub(super) fn json(url: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::post(url, "application/json", body.to_string())
    }

    /// A POST of the fields of a form.
    pub(super) fn form(url: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        Self::post(url, "application/x-www-form-urlencoded", body.finish())
    }

    /// A POST of anything.
    pub(super) fn post(
        url: impl Into<String>,
        kind: &'static str,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self::new(Method::POST, url, headers, body)
    }

    /// Any request.
    pub(super) fn new(
        method: Method,
        url: impl Into<String>,
        headers: HeaderMap,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        Self { method, url: url.into(), headers, body: body.into(), hidden: Vec::new() }
    }

    /// With a header. One whose value cannot stand in a header was found with the options.
    #[must_use]
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// With the token of whoever asks.
    #[must_use]
    pub(super) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With a secret beside those of its headers that is not to be told, should the service say it.
    #[must_use]
    pub(super) fn hide(mut self, secret: &str) -> Self {
        self.hidden.push(secret.to_owned());
        self
    }

    /// With an address that is a secret itself, which any part of its path may be.
    #[must_use]
    pub(super) fn hide_address(mut self) -> Self {
        if let Ok(url) = url::Url::parse(&self.url) {
            let path = url.path().split('/').map(str::to_owned);
            let query = url.query_pairs().map(|(_, value)| value.into_owned());
            self.hidden.extend(path.chain(query));
        }
        self.hidden.push(self.url.clone());
        // A part of a longer one must not be hidden first, and the rest of it told.
        self.hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self
    }

    /// What the service said, in one line without secrets.
    fn told(&self, body: &[u8]) -> String {
        let values = self.headers.values().filter(|value| value.is_sensitive());
        let values = values.filter_map(|value| value.to_str().ok());
        // Of `Bearer …` the secret is the second word.
        let values = values.filter_map(|value| value.split(' ').next_back());
        let secrets = values.chain(self.hidden.iter().map(String::as_str));
        // Hidden before it is cut: half a secret is one too.
        let said = String::from_utf8_lossy(body).into_owned();
        let said = secrets
            .filter(|secret| secret.len() >= SECRET)
            .fold(said, |said, secret| said.replace(secret, "****"));
        cut::line(said.as_bytes())
    }

    /// Sends it, and answers with what the service said, in one line. The address is never told: it may hold a secret.
    ///
    /// # Errors
    /// Why it was not taken, and whether trying again can help.
    async fn send(self, client: &Client, timeout: Duration) -> Result<String, TellError> {
        let request = client
            .request(self.method.clone(), &self.url)
            .headers(self.headers.clone())
            .body(self.body.clone())
            .timeout(timeout);
        let mut answer = request.send().await.map_err(|error| unsent(error, timeout))?;
        let status = answer.status();
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| pause(value, Utc::now()));
        let mut body = Vec::new();
        // What it answered is worth telling even where it did not come to its end.
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(READ - body.len())]);
            if body.len() >= READ {
                break;
            }
        }
        let said = match self.told(&body) {
            said if said.is_empty() => status.to_string(),
            said => format!("{status}: {said}"),
        };
        if status.is_success() {
            return Ok(said);
        }
        if status.is_redirection() {
            let text = format!("the service sends elsewhere: {said}; give its new address");
            return Err(TellError::permanent(text));
        }
        let passing = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        let error = if passing {
            TellError::passing(format!("the service answered {said}"))
        } else {
            TellError::permanent(format!("the service refused: {said}"))
        };
        Err(error.retry_after(wait.or_else(|| wish(&body))))
    }
}

/// The secret of this name that goes into a header, if there is one.
pub(super) fn key(options: &mut Options<'_>, name: &'static str) -> Option<String> {
    let key = options.text(name)?.trim();
    if HeaderValue::from_str(key).is_err() {
        options.fault(
            name,
            "it cannot stand in a request",
            "the letters and digits that it was given as",
        );
        return None;
    }
    Some(key.to_owned()).filter(|key| !key.is_empty())
}

/// As [`key`], for one that must be there.
pub(super) fn required_key(options: &mut Options<'_>, name: &'static str) -> Option<String> {
    options.required_text(name)?;
    key(options, name)
}

/// The address of a server among the options, to which a path is appended.
pub(super) fn base(
    options: &mut Options<'_>,
    name: &'static str,
    default: Option<&str>,
) -> Option<String> {
    let url = address(options, name, default)?;
    if url.contains(['?', '#']) {
        options.fault(name, "it goes on behind its path", "the address of the server alone");
    }
    Some(url.trim_end_matches('/').to_owned())
}

/// A name as it stands in an address.
pub(super) fn quoted(name: &str) -> String {
    let mut quoted = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                quoted.push(byte.into());
            }
            other => quoted.push_str(&format!("%{other:02X}")),
        }
    }
    quoted
}

/// The address of a service among the options, if it is one.
pub(super) fn address(
    options: &mut Options<'_>,
    name: &'static str,
    default: Option<&str>,
) -> Option<String> {
    let given = match default {
        Some(default) => options.text(name).filter(|text| !text.is_empty()).unwrap_or(default),
        None => options.required_text(name)?,
    };
    let url = url::Url::parse(given).ok();
    let right = "the address of a web service, `https://…`";
    match url {
        Some(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => {
            Some(given.to_owned())
        }
        _ => {
            options.fault(name, "it is no address of a web service", right);
            None
        }
    }
}

/// A way to a web service: how long it has, and whose certificates are trusted.
#[derive(Debug)]
pub(super) struct Service {
    timeout: Duration,
    ca_file: Option<PathBuf>,
    /// With a file of its own; made at the first need.
    client: OnceCell<Client>,
}

impl Service {
    /// As these options say.
    pub(super) fn of(options: &mut Options<'_>) -> Self {
        Self::within(options, 10)
    }

    /// As these options say, where the service has so many seconds unless they say otherwise.
    pub(super) fn within(options: &mut Options<'_>, seconds: u32) -> Self {
        let timeout = options.seconds("timeout", seconds);
        let ca_file = options.text("cafile").filter(|text| !text.is_empty()).map(PathBuf::from);
        if let Some(path) = ca_file.as_ref().filter(|path| !path.is_absolute()) {
            let wrong = format!("`{}` begins nowhere", path.display());
            options.fault("cafile", wrong, "a path that begins with `/`");
        }
        Self { timeout, ca_file, client: OnceCell::new() }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub(super) async fn send(&self, request: Request) -> Result<String, TellError> {
        /// One client for all who trust the system, so that its roots are read and connections are kept once.
        static CLIENT: OnceCell<Client> = OnceCell::const_new();
        let client = match &self.ca_file {
            None => CLIENT.get_or_try_init(|| client(None)).await,
            Some(path) => self.client.get_or_try_init(|| client(Some(path.clone()))).await,
        };
        request.send(client?, self.timeout).await
    }
}

/// Asks for an address that may be a secret, and answers with what was said there.
///
/// # Errors
/// As [`Request::send`].
pub(crate) async fn fetch(
    url: &str,
    ca_file: Option<&Path>,
    timeout: Duration,
) -> Result<String, TellError> {
    let request = Request::new(Method::GET, url, HeaderMap::new(), Vec::new()).hide_address();
    let ca_file = ca_file.map(Path::to_owned);
    let service = Service { timeout, ca_file, client: OnceCell::new() };
    service.send(request).await
}

async fn client(ca_file: Option<PathBuf>) -> Result<Client, TellError> {
    let unusable = |why: String| TellError::passing(format!("no way to web services: {why}"));
    let roots = spawn_blocking(move || roots(ca_file.as_deref()));
    let roots = roots.await.map_err(|error| unusable(error.to_string()))?.map_err(unusable)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .user_agent(concat!("fletchck/", env!("CARGO_PKG_VERSION")))
        // Where an alert goes is for its owner to say, not for whoever answers.
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(30))
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| unusable(chain(&error).to_string()))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let wrong = |error: String| format!("{}: {error}", path.display());
            let file = CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
            for certificate in file {
                let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
            }
        }
        // Some systems carry roots that nothing can use; the others count.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    Ok(roots)
}

fn unsent(error: reqwest::Error, timeout: Duration) -> TellError {
    let text = if error.is_timeout() {
        format!("no answer within {} s", timeout.as_secs_f64())
    } else {
        chain(&error.without_url()).to_string()
    };
    TellError::passing(text)
}

/// How long a service wants to be left alone: seconds, or until a date.
fn pause(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    (until.with_timezone(&Utc) - now).to_std().ok()
}

/// How long a service wants to be left alone, as those say it that say it in their answer: Telegram and Discord in
/// seconds, Matrix in milliseconds.
fn wish(body: &[u8]) -> Option<Duration> {
    let said: serde_json::Value = serde_json::from_slice(body).ok()?;
    let seconds = [&said["retry_after"], &said["parameters"]["retry_after"]];
    let seconds = seconds.into_iter().find_map(serde_json::Value::as_f64);
    let wish = seconds.or_else(|| Some(said["retry_after_ms"].as_f64()? / 1000.0))?;
    Duration::try_from_secs_f64(wish).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_be_left_alone_is_in_seconds_or_a_date() {
        let now = "2026-11-26T12:00:00Z".parse().expect("a time");
        assert_eq!(pause("120", now), Some(Duration::from_secs(120)));
        let date = "Thu, 26 Nov 2026 12:01:30 GMT";
        assert_eq!(pause(date, now), Some(Duration::from_secs(90)));
        for none in ["", "soon", "-1", "Thu, 26 Nov 2026 11:00:00 GMT"] {
            assert_eq!(pause(none, now), None, "{none}");
        }
    }

    #[test]
    fn a_wish_may_stand_in_the_answer() {
        for (body, seconds) in [
            (r#"{"ok": false, "parameters": {"retry_after": 7}}"#, Some(7.0)),
            (r#"{"message": "limited", "retry_after": 0.5}"#, Some(0.5)),
            (r#"{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1500}"#, Some(1.5)),
            (r#"{"retry_after": -1}"#, None),
            (r#"{"retry_after": 1e300}"#, None),
            ("[]", None),
            ("no JSON", None),
        ] {
            assert_eq!(wish(body.as_bytes()), seconds.map(Duration::from_secs_f64), "{body}");
        }
    }

    #[test]
    fn no_secret_is_told_of_what_a_service_says() {
        let request = Request::json("https://host/path", &serde_json::json!({}))
            .bearer("sesame-1")
            .hide("sesame-2");
        let said = request.told(b"sent with Bearer sesame-1 and sesame-2, application/json");
        assert_eq!(said, "sent with Bearer **** and ****, application/json");
        let long = format!("{}sesame-1", "x".repeat(295));
        assert!(!request.told(long.as_bytes()).contains("ses"));
    }
}
