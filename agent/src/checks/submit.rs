//! `submit`: a server where users hand in their mail, with TLS from the first byte on.

use super::{
    Answers, Kind, Opt, Options, Plan,
    limit::WARN_ALERTS,
    mail::{self, Protocol, Security, Service},
    net,
};

/// The entry of `submit` in the table.
pub const KIND: Kind = Kind {
    name: "submit",
    summary: "a server where users hand in their mail over TLS",
    options: &[
        net::HOSTNAME,
        Opt::port("465"),
        net::timeout("10"),
        net::IP_VERSION,
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
        proves: "The server shows a certificate that is good for a week or more, greets, and answers EHLO; with `username`, \
                 that this user can log in.",
        leaves_open: "Whether it would take a message, and whether one would arrive. What goes wrong after EHLO, at NOOP or \
                      QUIT, is told as a warning and does not fail, as in the original.",
        failure: "The sentence names the step that failed and what the server answered. A certificate or a login that was \
                  refused is not tried again in the same run.",
        matters: "`username` and `password`, for the part behind the login is what breaks unseen: use an account that can do \
                  nothing else. For STARTTLS on port 587 take `smtp`.",
    },
    example: r#"{"type": "submit", "trigger": {"interval": {"minutes": 10}}, "options": {"hostname": "mail.example.org", "username": "watch@example.org", "password": "secret"}}"#,
    build,
};

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let service = Service {
        name: "submission",
        protocol: Protocol::Smtp,
        security: Security::Tls,
        port: 465,
        timeout: 10,
    };
    mail::plan(options, service)
}
