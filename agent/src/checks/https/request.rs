//! What a server is asked.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use fletchck_shared::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use http_body_util::Full;

use super::{
    place::Place,
    secret::{is_secret, lossy},
};
use crate::checks::{Opt, Options, Shape, net::Steps};

/// The option `headers`.
pub(super) const HEADERS: Opt = Opt::new(
    "headers",
    Shape::Table,
    "none",
    "fields that are sent with the request; `NAME_file` names a file with the text of one",
);

/// The option `reqBody`.
pub(super) const REQ_BODY: Opt = Opt::text(
    "reqBody",
    "none",
    "body that is sent with the request; `reqBody_file` names a file with it",
);

/// The option `username`.
pub(super) const USERNAME: Opt = Opt::text("username", "none", "user of basic authentication");

/// The option `password`.
pub(super) const PASSWORD: Opt = Opt::secret("password", "password of the user");

/// The option `token`.
pub(super) const TOKEN: Opt = Opt::secret("token", "token of bearer authentication");

/// What the key of a field ends in whose text is in a file.
const FILE: &str = "_file";

/// Fields that belong to the connection and are not the owner's to set.
const OURS: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
];

/// What a server is asked, wherever it is.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The method.
    pub(super) method: Method,
    /// The owner's fields.
    fields: HeaderMap,
    body: Bytes,
    login: Option<Login>,
}

/// Who asks.
#[derive(Clone, Debug)]
enum Login {
    Basic(String, Secret),
    Bearer(Secret),
}

impl Ask {
    /// Reads the method, or takes HEAD, or GET where the body of the answer is wanted, or POST where one is sent; and the
    /// fields, the body and the login of the request.
    pub(super) fn read(options: &mut Options<'_>, wants_body: bool) -> Option<Self> {
        let body = options.any_text("reqBody").unwrap_or_default();
        let method = method(options, wants_body, !body.is_empty());
        let fields = fields(options);
        let login = Login::read(options);
        if login.is_some() && !options.flag("tls", true) {
            options.warning(
                "tls",
                "without it the login can be read on its way",
                "`tls`, or a network that nobody else is on",
            );
        }
        Some(Self { method: method?, fields, body: Bytes::copy_from_slice(body.as_bytes()), login })
    }

    /// The request for a place, and its lines in the conversation, without secrets.
    pub(super) fn request(
        &self,
        place: &Place,
        version: Version,
        steps: &mut Steps,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        steps.sent(&format!("{} {} {version:?}", self.method, place.path));
        let mut request = Request::builder().method(self.method.clone()).version(version);
        if version == Version::HTTP_2 {
            let uri = Uri::builder().scheme(place.scheme()).authority(place.authority());
            request = request.uri(uri.path_and_query(place.path.to_string()).build()?);
        } else {
            request = request.uri(place.path.clone());
        }
        let mut request = request.body(Full::new(self.body.clone()))?;
        let fields = request.headers_mut();
        if version != Version::HTTP_2 {
            fields.insert(header::HOST, HeaderValue::try_from(place.authority())?);
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let agent = HeaderValue::from_static(concat!("fletchck/", env!("CARGO_PKG_VERSION")));
        fields.insert(header::USER_AGENT, agent);
        fields.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in &self.fields {
            if name == header::HOST && version == Version::HTTP_2 {
                continue;
            }
            fields.insert(name, value.clone());
            let told = if value.is_sensitive() { "****".into() } else { lossy(value) };
            steps.sent(&format!("{name}: {told}"));
        }
        if let Some(login) = &self.login {
            let (words, value) = login.field()?;
            fields.insert(header::AUTHORIZATION, value);
            steps.sent(&format!("authorization: {words} ****"));
        }
        Ok(request)
    }

    /// Hides what must not be told, in every form it is sent in.
    pub(super) fn hide(&self, steps: &mut Steps) {
        for value in self.fields.values().filter(|value| value.is_sensitive()) {
            steps.hide(lossy(value));
        }
        match &self.login {
            Some(login @ Login::Basic(_, password)) => {
                steps.hide(login.credentials());
                steps.hide(password.reveal());
            }
            Some(Login::Bearer(token)) => steps.hide(token.reveal()),
            None => {}
        }
    }

    /// The same after a redirect. `stays` says whether it leads to the same server, which alone is told who asks.
    ///
    /// # Errors
    /// The body would have to go to somebody else: a clause that says so.
    pub(super) fn redirected(&self, status: StatusCode, stays: bool) -> Result<Self, String> {
        let mut next = self.clone();
        let repeats =
            matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let reads = self.method == Method::HEAD || self.method == Method::GET;
        if !repeats && !reads {
            (next.method, next.body) = (Method::GET, Bytes::new());
            next.fields.remove(header::CONTENT_TYPE);
        }
        if !stays {
            if !next.body.is_empty() {
                return Err("it redirects what is sent to another server".into());
            }
            (next.login, next.fields) = (None, HeaderMap::new());
        }
        Ok(next)
    }
}

impl Login {
    fn read(options: &mut Options<'_>) -> Option<Self> {
        let given = |text: &&str| !text.is_empty();
        let user = options.text("username").filter(given);
        let password = options.text("password").filter(given);
        let token = options.text("token").filter(given);
        match (user, password, token) {
            (None, None, None) => None,
            (None, None, Some(token)) if token.is_ascii() => Some(Self::Bearer(Secret::new(token))),
            (None, None, Some(_)) => {
                options.fault(
                    "token",
                    "it has characters beyond ASCII",
                    "the token as it was given",
                );
                None
            }
            (Some(user), Some(password), None) if !user.contains(':') => {
                Some(Self::Basic(user.into(), Secret::new(password)))
            }
            (Some(_), Some(_), None) => {
                options.fault("username", "it contains a colon", "a user without one (RFC 7617)");
                None
            }
            (Some(_), None, None) => {
                options.fault("password", "it is missing", "the password of `username`");
                None
            }
            (None, Some(_), None) => {
                options.fault("username", "it is missing", "the user whose `password` it is");
                None
            }
            (_, _, Some(_)) => {
                options.fault(
                    "token",
                    "there is a user too",
                    "`token`, or `username` and `password`",
                );
                None
            }
        }
    }

    fn credentials(&self) -> String {
        match self {
            Self::Basic(user, password) => STANDARD.encode(format!("{user}:{}", password.reveal())),
            Self::Bearer(token) => token.reveal().into(),
        }
    }

    fn field(&self) -> Result<(&'static str, HeaderValue), http::Error> {
        let scheme = match self {
            Self::Basic(..) => "Basic",
            Self::Bearer(_) => "Bearer",
        };
        let mut value = HeaderValue::try_from(format!("{scheme} {}", self.credentials()))?;
        value.set_sensitive(true);
        Ok((scheme, value))
    }
}

fn method(options: &mut Options<'_>, wants_body: bool, sends: bool) -> Option<Method> {
    let usual = match (wants_body, sends) {
        (_, true) => "POST",
        (true, false) => "GET",
        (false, false) => "HEAD",
    };
    let text = options.text("reqType").unwrap_or(usual);
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| text.len() <= 64);
    match &method {
        None => options.fault("reqType", "it is no method", "one word, as in HEAD or GET"),
        Some(Method::HEAD) if wants_body => {
            options.fault("reqType", "the answer to HEAD has no body to look at", "GET");
        }
        Some(Method::CONNECT) => {
            options.fault("reqType", "CONNECT asks a proxy, not a server", "HEAD or GET");
        }
        Some(_) => {}
    }
    method
}

fn fields(options: &mut Options<'_>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let table = options.table("headers").unwrap_or_default();
    let named = |name: &str| table.iter().any(|(other, _)| *other == name);
    for &(given, text) in &table {
        // What was read from a file stands beside the key that names it.
        if let Some(name) = given.strip_suffix(FILE) {
            if !named(name) {
                let wrong = "the text was not read from its file";
                options.fault_within("headers", given, wrong, "a file with the text in it");
            }
            continue;
        }
        let name = given;
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(text));
        let (Ok(name), Ok(mut value)) = parsed else {
            options.fault(
                "headers",
                format!("{name:?} with its text is no field"),
                "letters, digits and `-`",
            );
            continue;
        };
        if OURS.contains(&name) {
            options.fault("headers", format!("{name} belongs to the connection"), "other fields");
            continue;
        }
        value.set_sensitive(is_secret(&name) || named(&format!("{given}{FILE}")));
        fields.insert(name, value);
    }
    fields
}
