//! `imap`: a server where users read their mail.

use super::{
    Answers, Kind, Opt, Options, Plan,
    limit::WARN_ALERTS,
    mail::{self, Protocol, Security, Service},
    net,
};

/// The entry of `imap` in the table.
pub const KIND: Kind = Kind {
    name: "imap",
    summary: "a server where users read their mail",
    options: &[
        net::HOSTNAME,
        Opt::port("993, or 143 with starttls"),
        net::timeout("6"),
        net::IP_VERSION,
        Opt::flag(
            "starttls",
            "false",
            "whether TLS begins with STARTTLS, and not with the first byte",
        ),
        net::SELFSIGNED,
        net::CAFILE,
        net::SERVER_NAME,
        net::DAYS,
        net::WARN_DAYS,
        WARN_ALERTS,
        mail::USERNAME,
        mail::PASSWORD,
    ],
    answers: Answers {
        proves: "The server shows a certificate that is good for a week or more, greets, and answers NOOP and LOGOUT; with \
                 `username`, that this user can log in.",
        leaves_open: "Whether the mailboxes behind the login can be read, and whether new mail arrives in them.",
        failure: "The sentence names the step that failed and what the server answered. A certificate or a login that was \
                  refused is not tried again in the same run.",
        matters: "`username` and `password`, for without a login only the front of the server is seen: use an account that \
                  can do nothing else.",
    },
    example: r#"{"type": "imap", "trigger": {"interval": {"minutes": 10}}, "options": {"hostname": "mail.example.org", "username": "watch@example.org", "password": "secret"}}"#,
    build,
};

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let start = options.flag("starttls", false);
    let (security, port) = if start { (Security::Start, 143) } else { (Security::Tls, 993) };
    let service = Service { name: "IMAP", protocol: Protocol::Imap, security, port, timeout: 6 };
    mail::plan(options, service)
}
