//! An answer, told in a sentence and as the original logs it.

use std::fmt::Write as _;

use fletchck_shared::Outcome;
use http::{HeaderMap, HeaderName, StatusCode, header, response::Parts};

use super::{expect::Met, place::Place, secret::told};
use crate::checks::{Look, net::Certificate, python};

/// An answer, and the certificate of who gave it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// As much of the body as was read.
    pub(super) body: Vec<u8>,
    /// Whether there was more of it.
    pub(super) cut: bool,
    pub(super) certificate: Option<Certificate>,
}

impl Answer {
    pub(super) fn new(head: Parts) -> Self {
        let Parts { status, headers, .. } = head;
        Self { status, headers, body: Vec::new(), cut: false, certificate: None }
    }

    /// Where it leads, if it is a redirect.
    pub(super) fn leads(&self) -> Option<&[u8]> {
        const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
        let location = self.headers.get(header::LOCATION)?;
        REDIRECTS.contains(&self.status.as_u16()).then(|| location.as_bytes())
    }

    /// The answer as a sentence, with how it was judged.
    pub(super) fn outcome(
        &self,
        asked: &str,
        judged: Result<Met, String>,
        place: &Place,
        look: &Look<'_>,
    ) -> Outcome {
        let mut text = format!("{asked} answered {}", self.status);
        let mut log = vec![self.line()];
        let tell = |text: &mut String, clause: &str| {
            text.push_str(", ");
            text.push_str(clause);
        };
        match &judged {
            Ok(met) => met.clauses.iter().for_each(|clause| tell(&mut text, clause)),
            Err(wrong) => {
                tell(&mut text, wrong);
                log.push(wrong.clone());
            }
        }
        if let Some(certificate) = &self.certificate {
            let valid = certificate.validity(look.now, look.zone);
            if judged.is_ok() {
                tell(&mut text, &format!("certificate {valid}"));
            }
            log.push(format!("Certificate: {valid}, signed by {}", certificate.issuer));
        }
        let tls = place.tls.as_ref().zip(self.certificate.as_ref());
        let warns = tls.is_some_and(|(tls, certificate)| tls.warns(certificate, look));
        match judged {
            Ok(met) => {
                let outcome = Outcome::pass(text).log(log).warning(warns || met.warning);
                met.level.into_iter().fold(outcome, Outcome::level)
            }
            Err(_) => Outcome::fail(text).log(log),
        }
    }

    /// Status and header as the original logs them, but without secrets: `(200, 'Server: nginx\n\n')`.
    fn line(&self) -> String {
        let mut header = String::new();
        for (name, value) in &self.headers {
            // Bytes beyond ASCII have no agreed meaning in a header; each becomes the character of its number.
            let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            let value = told(name, value);
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
        let mut response = http::Response::new(());
        *response.headers_mut() = headers;
        let answer = Answer::new(response.into_parts().0);
        assert_eq!(answer.line(), r"(200, 'Server: nginx/1.22.1\nContent-Length: 177\n\n')");
    }
}
