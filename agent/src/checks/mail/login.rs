//! A login: its options, and the forms in which it is sent.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fletchck_shared::Secret;

use crate::checks::{Opt, Options, net::Steps};

/// The option `username`.
pub(crate) const USERNAME: Opt =
    Opt::text("username", "none", "user to log in as; without one nobody logs in");

/// The option `password`.
pub(crate) const PASSWORD: Opt = Opt::secret("password", "password of the user");

/// A user and the password, which only ever leaves through TLS.
#[derive(Debug)]
pub(super) struct Login {
    /// Who logs in.
    pub(super) user: String,
    password: Secret,
}

impl Login {
    /// Reads `username` and `password`: both or neither.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let given = |text: &&str| !text.is_empty();
        let user = options.text("username").filter(given);
        let password = options.text("password").filter(given);
        match (user, password) {
            (Some(user), Some(password)) => {
                Some(Self { user: user.into(), password: Secret::new(password) })
            }
            (Some(_), None) => {
                options.fault("password", "it is missing", "the password of `username`");
                None
            }
            (None, Some(_)) => {
                options.fault("username", "it is missing", "the user whose `password` it is");
                None
            }
            (None, None) => None,
        }
    }

    /// Hides the password, in every form it is sent in, should the server repeat it.
    pub(super) fn hide(&self, steps: &mut Steps) {
        let forms = [
            self.plain(),
            self.password64(),
            quoted(self.password.reveal()),
            self.password.reveal().into(),
        ];
        for form in forms {
            steps.hide(form);
        }
    }

    /// User and password as the mechanism PLAIN sends them (RFC 4616), in base64.
    pub(super) fn plain(&self) -> String {
        STANDARD.encode(format!("\0{}\0{}", self.user, self.password.reveal()))
    }

    /// The user as the mechanism LOGIN sends it.
    pub(super) fn user64(&self) -> String {
        STANDARD.encode(&self.user)
    }

    /// The password as the mechanism LOGIN sends it.
    pub(super) fn password64(&self) -> String {
        STANDARD.encode(self.password.reveal())
    }

    /// User and password as the command LOGIN of IMAP sends them; `None` where they are not ASCII, which it cannot send.
    pub(super) fn command(&self) -> Option<String> {
        let (user, password) = (&self.user, self.password.reveal());
        (user.is_ascii() && password.is_ascii())
            .then(|| format!("LOGIN \"{}\" \"{}\"", quoted(user), quoted(password)))
    }
}

/// The inside of a quoted string (RFC 9051 section 4.3).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login { user: user.into(), password: Secret::new(password) }
    }

    #[test]
    fn each_form_is_that_of_its_standard() {
        // The example of RFC 4616.
        assert_eq!(login("tim", "tanstaaftanstaaf").plain(), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        let login = login("a b", "\"c\\d");
        assert_eq!(login.command().as_deref(), Some(r#"LOGIN "a b" "\"c\\d""#));
        assert_eq!((login.user64().as_str(), login.password64().as_str()), ("YSBi", "ImNcZA=="));
        assert_eq!(self::login("a", "ü").command(), None);
        assert_eq!(format!("{login:?}"), r#"Login { user: "a b", password: **** }"#);
    }
}
