//! `email`: a mail to each recipient, over SMTP or by the system's sendmail.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, header},
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{
    Action, ActionKind, Letter, TellError, To, exec,
    tone::Tone,
    web,
    words::{self, Words},
};
use crate::{
    chain,
    options::{Opt, Options, Shape},
    program::Program,
};

/// The entry of `email` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "email",
    summary: "a mail to each recipient, over SMTP or by the system's sendmail",
    options: &[
        Opt::new(
            "recipients",
            Shape::Texts,
            "required",
            "addresses, each of which gets a mail of its own",
        ),
        Opt::text("sender", "fletchck@ the name of this machine", "address that it comes from"),
        Opt::text("hostname", "none: by sendmail", "name or address of the mail server"),
        Opt::new(
            "port",
            Shape::Port,
            "465; 587 with `starttls`, 25 with `none`",
            "port of the mail server",
        ),
        Opt::choice(
            "security",
            &["tls", "starttls", "none"],
            "tls",
            "TLS from the first byte on, from STARTTLS on, or none at all",
        ),
        Opt::flag("selfsigned", "false", "whether any certificate of the server is taken"),
        web::CA_FILE,
        Opt::text("username", "none", "user to log in as"),
        Opt::secret("password", "password of that user"),
        Opt::text("fallback", SENDMAIL, "sendmail program, where there is no `hostname`"),
        Opt::seconds("timeout", "10", "time that each step of the conversation has, in seconds"),
        Opt::text("site", "the site's", "name of the site in messages"),
        Opt::text("icon", "none", "sign that is shown with a thumb up where all is well again"),
        words::TITLE_OPT,
        words::TEXT_OPT,
    ],
    gathers: true,
    build,
};

/// Where the original looks for it.
const SENDMAIL: &str = "/usr/lib/sendmail";

/// Longest conversation, in steps of the time that each of them has.
const STEPS: u32 = 6;

struct Email {
    recipients: Vec<String>,
    sender: Mailbox,
    site: Option<String>,
    icon: Option<String>,
    way: Way,
    words: Words,
    limit: Duration,
}

enum Way {
    Server(AsyncSmtpTransport<Tokio1Executor>),
    /// The path of the program.
    Sendmail(String),
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let recipients = recipients(options);
    let sender = sender(options);
    let timeout = options.seconds("timeout", 10);
    let way = way(options, timeout);
    let text = |options: &mut Options<'_>, name| {
        options.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (site, icon) = (text(options, "site"), text(options, "icon"));
    let words = Words::of(options);
    Some(Arc::new(Email {
        recipients: recipients?,
        sender: sender?,
        site,
        icon,
        way: way?,
        words,
        limit: timeout * STEPS,
    }))
}

fn recipients(options: &mut Options<'_>) -> Option<Vec<String>> {
    let right = "addresses of mailboxes, as in [\"ann@example.org\"]";
    let Some(texts) = options.texts("recipients") else {
        if !options.given("recipients") {
            options.fault("recipients", "they are missing", right);
        }
        return None;
    };
    let mut recipients = Vec::new();
    for text in texts {
        match text.parse::<Mailbox>() {
            Ok(_) if recipients.iter().any(|known| known == text) => {}
            Ok(_) => recipients.push(text.to_owned()),
            Err(_) => options.fault("recipients", format!("{text:?} is no address"), right),
        }
    }
    if recipients.is_empty() {
        options.fault("recipients", "there is nobody to tell", right);
        return None;
    }
    Some(recipients)
}

fn sender(options: &mut Options<'_>) -> Option<Mailbox> {
    match options.text("sender").filter(|text| !text.is_empty()) {
        Some(text) => match text.parse() {
            Ok(sender) => Some(sender),
            Err(_) => {
                let right = "an address of a mailbox, `fletchck@example.org` for example";
                options.fault("sender", format!("{text:?} is no address"), right);
                None
            }
        },
        None => {
            let host = sysinfo::System::host_name().unwrap_or_default();
            let address =
                Address::new("fletchck", host).or_else(|_| Address::new("fletchck", "localhost"));
            address.ok().map(|address| Mailbox::new(Some("fletchck".into()), address))
        }
    }
}

fn way(options: &mut Options<'_>, timeout: Duration) -> Option<Way> {
    let sendmail = options.text("fallback").filter(|text| !text.is_empty()).unwrap_or(SENDMAIL);
    let host = options.text("hostname").filter(|text| !text.is_empty());
    let security = options.choice("security", &["tls", "starttls", "none"]).unwrap_or("tls");
    let port = options.port("port");
    let user = options.text("username").filter(|text| !text.is_empty());
    let password = options.any_text("password").unwrap_or_default();
    let any = options.flag("selfsigned", false);
    let ca_file = options.text("cafile").filter(|text| !text.is_empty());
    if let Some(path) = ca_file.filter(|path| !path.starts_with('/')) {
        options.fault("cafile", format!("`{path}` begins nowhere"), "a path that begins with `/`");
        return None;
    }
    let Some(host) = host else {
        if !sendmail.starts_with('/') {
            let wrong = format!("`{sendmail}` begins nowhere");
            options.fault("fallback", wrong, "a path that begins with `/`");
        }
        return Some(Way::Sendmail(sendmail.to_owned()));
    };
    let standard = match security {
        "tls" => 465,
        "starttls" => 587,
        _ => 25,
    };
    let mut parameters = TlsParameters::builder(host.to_owned())
        .dangerous_accept_invalid_certs(any)
        .dangerous_accept_invalid_hostnames(any);
    if let Some(path) = ca_file {
        let read = std::fs::read(path).map_err(|e| e.to_string());
        match read.and_then(|pem| Certificate::from_pem(&pem).map_err(|e| e.to_string())) {
            Ok(certificate) => parameters = parameters.add_root_certificate(certificate),
            Err(wrong) => {
                options.fault("cafile", wrong, "a file with PEM certificates");
                return None;
            }
        }
    }
    let parameters = match parameters.build_rustls() {
        Ok(parameters) => parameters,
        Err(error) => {
            options.fault("hostname", chain(&error).to_string(), "the name of a mail server");
            return None;
        }
    };
    let tls = match security {
        "tls" => Tls::Wrapper(parameters),
        "starttls" => Tls::Required(parameters),
        _ => Tls::None,
    };
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(port.unwrap_or(standard))
        .tls(tls)
        .timeout(Some(timeout));
    if let Some(user) = user {
        server = server.credentials(Credentials::new(user.into(), password.into()));
    }
    Some(Way::Server(server.build()))
}

#[async_trait]
impl Action for Email {
    fn groups(&self) -> Vec<String> {
        self.recipients.clone()
    }

    async fn tell(&self, letter: &Letter, to: &To<'_>) -> Result<String, TellError> {
        let mail = self.mail(letter, to.group).map_err(TellError::permanent)?;
        let sent = async {
            match &self.way {
                Way::Server(server) => match server.send(mail).await {
                    Ok(answer) => {
                        let said: Vec<&str> = answer.message().collect();
                        Ok(format!("{} {}", answer.code(), said.join(" ")))
                    }
                    Err(error) => Err(refused(&error)),
                },
                Way::Sendmail(program) => self.sendmail(program, &mail, to.group).await,
            }
        };
        let late = || TellError::passing(format!("not done within {} s", self.limit.as_secs()));
        tokio::time::timeout(self.limit, sent).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Email {
    /// By the arguments that every such program has, and the original gives it.
    async fn sendmail(&self, program: &str, mail: &Message, to: &str) -> Result<String, TellError> {
        let to: Mailbox = to.parse().map_err(|_| TellError::permanent("it is no address"))?;
        let (from, to) = (self.sender.email.to_string(), to.email.to_string());
        let arguments = ["-oi", "-r", &from, "--", &to];
        exec::run(&Program::of(program), &arguments, mail.formatted(), self.limit).await
    }

    fn mail(&self, letter: &Letter, to: &str) -> Result<Message, String> {
        let named;
        let letter = match &self.site {
            Some(site) => {
                named = Letter { site: site.clone(), ..letter.clone() };
                &named
            }
            None => letter,
        };
        let said = self.words.say_somehow(letter);
        let text = match &self.icon {
            Some(icon) if letter.tone() == Tone::Good => format!("{}\n\n{icon}👍", said.text),
            _ => said.text,
        };
        let domain = self.sender.email.domain();
        let mut mail = Message::builder()
            .from(self.sender.clone())
            .to(to.parse().map_err(|e| format!("{to:?} is no address: {e}"))?)
            .subject(said.title)
            .date_now()
            .message_id(Some(format!("<{}@{domain}>", letter.id)))
            // Nobody's absence is to be told to a monitor.
            .header(AutoSubmitted);
        if let Some(incident) = letter.incident() {
            // All that is told of one incident stands under one head.
            let head = format!("<incident-{incident}@{domain}>");
            mail = mail.references(head.clone()).in_reply_to(head);
        }
        let plain = lettre::message::SinglePart::builder()
            .header(header::ContentType::TEXT_PLAIN)
            .body(text);
        let mail = match self.words.page(letter) {
            Some(page) => mail.multipart(
                MultiPart::alternative()
                    .singlepart(plain)
                    .singlepart(lettre::message::SinglePart::html(page)),
            ),
            None => mail.singlepart(plain),
        };
        mail.map_err(|e| format!("no mail can be made of it: {e}"))
    }
}

/// `Auto-Submitted: auto-generated`, RFC 3834.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

/// What a failure of SMTP means. A server that says 5xx means it; anything else may be over soon.
fn refused(error: &smtp::Error) -> TellError {
    let text = chain(error).to_string();
    if error.is_permanent() { TellError::permanent(text) } else { TellError::passing(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults(options: Value) -> Vec<String> {
        let (action, faults) = KIND.action(options.as_object().expect("options"));
        assert_eq!(action.is_some(), faults.is_empty());
        let mut faults: Vec<_> = faults.into_iter().map(|fault| fault.option).collect();
        faults.dedup();
        faults
    }

    #[test]
    fn options_of_the_originals_are_taken() {
        let original = json!({
            "hostname": "mail.example.org", "port": 465, "username": "u", "password": "p",
            "sender": "Fletchck <watch@example.org>", "recipients": ["a@example.org", "B <b@example.org>"],
            "timeout": 10, "site": "Home", "icon": "x", "fallback": "/usr/lib/sendmail",
        });
        assert_eq!(faults(original.clone()), Vec::<String>::new());
        let options = original.as_object().expect("options");
        let groups = KIND.action(options).0.expect("an action").groups();
        assert_eq!(groups, ["a@example.org", "B <b@example.org>"]);
        assert_eq!(faults(json!({"recipients": ["a@example.org"]})), Vec::<String>::new());
    }

    #[test]
    fn wrong_options_are_told() {
        let to = "a@example.org";
        for (options, wrong) in [
            (json!({}), "recipients"),
            (json!({"recipients": []}), "recipients"),
            (json!({"recipients": [to, "nobody"]}), "recipients"),
            (json!({"recipients": ["a@b\r\nBcc: c@d"]}), "recipients"),
            (json!({"recipients": [to], "sender": "me"}), "sender"),
            (json!({"recipients": [to], "hostname": "h", "security": "ssl"}), "security"),
            (json!({"recipients": [to], "hostname": "h", "cafile": "/no/such.pem"}), "cafile"),
            (json!({"recipients": [to], "hostname": "h", "cafile": "ca.pem"}), "cafile"),
            (json!({"recipients": [to], "fallback": "sendmail"}), "fallback"),
            (json!({"recipients": [to], "text": "{{"}), "text"),
        ] {
            assert_eq!(faults(options.clone()), [wrong], "{options}");
        }
    }
}
