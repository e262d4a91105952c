//! `smtp`: a server that takes mail from other servers, with STARTTLS.

use super::{
    Answers, Kind, Opt, Options, Plan,
    limit::WARN_ALERTS,
    mail::{self, Protocol, Security, Service},
    net,
};

/// The entry of `smtp` in the table.
pub const KIND: Kind = Kind {
    name: "smtp",
    summary: "a server that takes mail from other servers, with STARTTLS",
    options: &[
        net::HOSTNAME,
        Opt::port("25"),
        net::timeout("6"),
        net::IP_VERSION,
        Opt::flag("tls", "true", "whether it must speak TLS after STARTTLS; false: without TLS"),
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
        proves: "The server greets, offers STARTTLS, shows a certificate that is good for a week or more, and answers EHLO; \
                 with `username`, that this user can log in.",
        leaves_open: "Whether it would take a message, and whether one would arrive. What goes wrong after EHLO, at NOOP or \
                      QUIT, is told as a warning and does not fail, as in the original.",
        failure: "The sentence names the step that failed and what the server answered, `421 busy` for example. A certificate \
                  or a login that was refused is not tried again in the same run.",
        matters: "`hostname` is the name of the mail server itself, which its certificate must be for, not the domain of the \
                  addresses. Port 587 with `username` and `password` is where users hand in their mail.",
    },
    example: r#"{"type": "smtp", "trigger": {"interval": {"minutes": 10}}, "retries": 2, "options": {"hostname": "mx.example.org"}}"#,
    build,
};

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let security = if options.flag("tls", true) { Security::Start } else { Security::Plain };
    let service =
        Service { name: "SMTP", protocol: Protocol::Smtp, security, port: 25, timeout: 6 };
    mail::plan(options, service)
}
