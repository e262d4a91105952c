//! The head of an answer, judged and told.

use std::fmt::Write as _;

use fletchck_shared::Outcome;
use http::{HeaderMap, HeaderName, StatusCode, response::Parts};

use super::Https;
use crate::checks::{Look, net::Certificate, python};

/// The head of an answer, and the certificate of who gave it.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    certificate: Option<Certificate>,
}

impl Answer {
    pub(super) fn new(head: Parts, certificate: Option<Certificate>) -> Self {
        Self { status: head.status, headers: head.headers, certificate }
    }

    /// Any answer is a pass: the server lives. What it says stands in the sentence.
    pub(super) fn outcome(&self, https: &Https, look: &Look<'_>) -> Outcome {
        let mut text = format!("{} {} answered {}", https.method, https.url(), self.status);
        let mut log = vec![self.line()];
        if let Some(certificate) = &self.certificate {
            let valid = certificate.validity(look.now, look.zone);
            write!(text, ", certificate {valid}").expect("writing to a String cannot fail");
            log.push(format!("Certificate: {valid}, signed by {}", certificate.issuer));
        }
        let tls = https.tls.as_ref().zip(self.certificate.as_ref());
        let warns = tls.is_some_and(|(tls, certificate)| tls.warns(certificate, look));
        Outcome::pass(text).log(log).warning(warns)
    }

    /// Status and header as the original logs them: `(200, 'Server: nginx\n\n')`.
    fn line(&self) -> String {
        let mut header = String::new();
        for (name, value) in &self.headers {
            // Bytes beyond ASCII have no agreed meaning in a header; each becomes the character of its number.
            let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            writeln!(header, "{}: {value}", title(name)).expect("writing to a String cannot fail");
        }
        header.push('\n');
        format!("({}, {})", self.status.as_u16(), python::text(&header))
    }
}

/// A name with the first letter of each word large, as servers write most of them.
fn title(name: &HeaderName) -> String {
    let mut large = true;
    let letter = |c: char| {
        let letter = if large { c.to_ascii_uppercase() } else { c };
        large = c == '-';
        letter
    };
    name.as_str().chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_line_is_the_originals() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("server", "nginx/1.22.1"), ("content-length", "177")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let answer = Answer { status: StatusCode::OK, headers, certificate: None };
        assert_eq!(answer.line(), r"(200, 'Server: nginx/1.22.1\nContent-Length: 177\n\n')");
    }
}
