//! Where a request goes, at first and after a redirect.

use http::Uri;
use url::{Host, Url};

use crate::checks::{
    Options,
    net::{Reach, Target, Tls},
};

/// Where a request goes.
#[derive(Clone, Debug)]
pub(in crate::checks) struct Place {
    /// The server.
    pub(in crate::checks) reach: Reach,
    /// What is demanded of its certificate, or `None` for plain HTTP.
    pub(in crate::checks) tls: Option<Tls>,
    /// Path and query.
    pub(in crate::checks) path: Uri,
}

impl Place {
    /// Reads host, port, path and all that leads there. The demands are there for plain HTTP too, which may lead to HTTPS.
    pub(super) fn read(options: &mut Options<'_>) -> (Option<Self>, Tls) {
        let (target, port) = host_and_port(options);
        let on = options.flag("tls", true);
        let usual = if on { 443 } else { 80 };
        let reach = Reach::of(options, target, port.unwrap_or(usual), 10);
        let demands = Tls::read(options);
        let path = path(options);
        let place = reach.zip(path).map(|(reach, path)| Self {
            reach,
            tls: on.then(|| demands.clone()),
            path,
        });
        (place, demands)
    }

    /// What the Host field says: the port only where it is not the usual one.
    pub(in crate::checks) fn authority(&self) -> String {
        let usual = if self.tls.is_some() { 443 } else { 80 };
        self.reach.target.authority(Some(self.reach.port).filter(|port| *port != usual))
    }

    /// `https` or `http`.
    pub(in crate::checks) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// All of it.
    pub(in crate::checks) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), self.path)
    }

    /// Whether what is meant for one may be told to the other.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        (self.scheme(), self.authority()) == (other.scheme(), other.authority())
    }

    /// Where a field Location leads from here.
    ///
    /// # Errors
    /// A clause that goes on from the service: why it leads nowhere that may be asked.
    pub(in crate::checks) fn redirected(
        &self,
        location: &[u8],
        demands: &Tls,
    ) -> Result<Self, String> {
        let told = String::from_utf8_lossy(location);
        let nowhere = || format!("it redirects to `{told}`, which is no address to ask");
        let base = Url::parse(&self.url()).map_err(|_| nowhere())?;
        let url = base.join(&told).map_err(|_| nowhere())?;
        let encrypted = match url.scheme() {
            "https" => true,
            "http" if self.tls.is_some() => {
                return Err(format!("it redirects to {url}, which is not encrypted"));
            }
            "http" => false,
            _ => return Err(nowhere()),
        };
        let (host, port) = url.host().zip(url.port_or_known_default()).ok_or_else(nowhere)?;
        let name = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let target = Target::parse(&name).map_err(|_| nowhere())?;
        // A zone is in no URL, so the host itself is recognised by what it is in one.
        let here = target.authority(None) == self.reach.target.authority(None);
        let target = if here { self.reach.target.clone() } else { target };
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path = path.parse().map_err(|_| nowhere())?;
        let tls = encrypted.then(|| match here && port == self.reach.port {
            true => demands.clone(),
            false => demands.elsewhere(),
        });
        Ok(Self { reach: self.reach.to(target, port), tls, path })
    }
}

/// The host and the port. Without the option `port`, the port may follow the host, as the original takes it.
fn host_and_port(options: &mut Options<'_>) -> (Option<Target>, Option<u16>) {
    let port = options.port("port");
    if !options.given("port")
        && let Some(text) = options.peek_text("hostname")
        && let Some((host, port)) = text.split_once(':')
        && let (Ok(target), Ok(port @ 1..)) = (Target::parse(host), port.parse())
    {
        return (Some(target), Some(port));
    }
    (Target::read(options, "hostname"), port)
}

fn path(options: &mut Options<'_>) -> Option<Uri> {
    let text = options.text("reqPath").filter(|text| !text.is_empty()).unwrap_or("/");
    let path = (text.starts_with('/') || text == "*").then(|| text.parse().ok()).flatten();
    if path.is_none() {
        let right = "a path that begins with `/`, other characters as in %20";
        options.fault("reqPath", "it is no path", right);
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn place(given: Value) -> (Place, Tls) {
        let given = given.as_object().expect("options").clone();
        let mut demands = None;
        let (place, faults) = Options::read(&given, super::super::KIND.options, |options| {
            let (place, tls) = Place::read(options);
            demands = Some(tls);
            place
        });
        (place.unwrap_or_else(|| panic!("{faults:?}")), demands.expect("they were read"))
    }

    #[test]
    fn a_redirect_is_followed_from_where_it_was() {
        let (place, demands) =
            place(json!({"hostname": "a.example", "port": 8443, "reqPath": "/one/two?x=1"}));
        let leads = |location: &str| {
            place.redirected(location.as_bytes(), &demands).map(|place| place.url())
        };
        for (location, url) in [
            ("three", "https://a.example:8443/one/three"),
            ("/", "https://a.example:8443/"),
            ("?y=2#part", "https://a.example:8443/one/two?y=2"),
            ("https://b.example/ü", "https://b.example/%C3%BC"),
            ("//c.example:443/x", "https://c.example/x"),
            ("https://[::1]:5/", "https://[::1]:5/"),
        ] {
            assert_eq!(leads(location).as_deref(), Ok(url), "{location}");
        }
        for (location, wrong) in [
            ("http://a.example/", "it redirects to http://a.example/, which is not encrypted"),
            ("ftp://a.example/", "it redirects to `ftp://a.example/`, which is no address to ask"),
            ("https://", "it redirects to `https://`, which is no address to ask"),
        ] {
            assert_eq!(leads(location), Err(wrong.into()), "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_redirect_leads_out_of_tls_or_nowhere(
            location in prop::collection::vec(any::<u8>(), 0..60),
            url in "(https?:)?(//)?[a-z0-9.:@\\[\\]%-]{0,20}[/?#\\PC]{0,3}\\PC{0,20}",
        ) {
            let (place, demands) = place(json!({"hostname": "a.example", "reqPath": "/one"}));
            for location in [&location[..], url.as_bytes()] {
                if let Ok(to) = place.redirected(location, &demands) {
                    prop_assert!(to.tls.is_some());
                    prop_assert!(Url::parse(&to.url()).is_ok(), "{}", to.url());
                }
            }
        }
    }

    #[test]
    fn a_zone_and_what_is_asked_for_in_the_handshake_stay_with_their_host() {
        let options = json!({"hostname": "fe80::1%7", "serverName": "a.example", "tls": false});
        let (place, demands) = place(options);
        let next = place.redirected(b"http://[fe80::1]:80/x", &demands).expect("a place");
        assert_eq!(next.reach.target.to_string(), "fe80::1%7");
        assert!(next.same_origin(&place));
        let next = place.redirected(b"https://b.example/", &demands).expect("a place");
        assert!(next.tls.is_some() && !next.same_origin(&place));
    }
}
