//! The words of SMTP (RFC 5321), as far as a check says them.

use super::{
    login::Login,
    reply::Reply,
    wire::{Stream, Wire},
};
use crate::checks::{net::TalkError, python};

/// From the greeting to where TLS begins (RFC 3207).
pub(super) async fn start_tls<S: Stream>(
    wire: &mut Wire<'_, S>,
    me: &str,
) -> Result<(), TalkError> {
    greeting(wire).await?;
    wire.steps.begin("starttls");
    let hello = hello(wire, me).await?;
    if !hello.features().iter().any(|feature| feature.first().is_some_and(|f| f == "STARTTLS")) {
        let words = "it offers no STARTTLS (for SMTP without TLS set `tls` to false)";
        return Err(TalkError::Wrong(words.into()));
    }
    let go = command(wire, "STARTTLS").await?;
    wire.log.push(logged(&go));
    wanted("STARTTLS", &go, 220)
}

/// From the greeting, unless it came before TLS, to the login, if there is one.
pub(super) async fn open<S: Stream>(
    wire: &mut Wire<'_, S>,
    me: &str,
    greeted: bool,
    login: Option<&Login>,
) -> Result<(), TalkError> {
    if !greeted {
        greeting(wire).await?;
    }
    wire.steps.begin("hello");
    let hello = hello(wire, me).await?;
    wire.log.push(logged(&hello));
    match login {
        Some(login) => self::login(wire, &hello, login).await,
        None => Ok(()),
    }
}

/// The end.
///
/// # Errors
/// NOOP was not answered as it must be, or the conversation broke off. What was proven before stands.
pub(super) async fn close<S: Stream>(wire: &mut Wire<'_, S>) -> Result<(), TalkError> {
    wire.steps.begin("noop");
    let noop = command(wire, "NOOP").await?;
    wire.log.push(logged(&noop));
    wire.steps.begin("quit");
    let quit = command(wire, "QUIT").await?;
    wire.log.push(logged(&quit));
    wanted("NOOP", &noop, 250)
}

async fn greeting<S: Stream>(wire: &mut Wire<'_, S>) -> Result<(), TalkError> {
    wire.steps.begin("greeting");
    let greeting = reply(wire).await?;
    match greeting.code {
        220 => Ok(()),
        _ => Err(TalkError::Wrong(format!("the greeting was `{greeting}`, wanted 220"))),
    }
}

/// EHLO, or HELO where the server is too old for it.
async fn hello<S: Stream>(wire: &mut Wire<'_, S>, me: &str) -> Result<Reply, TalkError> {
    let ehlo = command(wire, &format!("EHLO {me}")).await?;
    if !matches!(ehlo.code, 500 | 501 | 502 | 504) {
        return wanted("EHLO", &ehlo, 250).map(|()| ehlo);
    }
    let helo = command(wire, &format!("HELO {me}")).await?;
    wanted("HELO", &helo, 250).map(|()| helo)
}

async fn login<S: Stream>(
    wire: &mut Wire<'_, S>,
    hello: &Reply,
    login: &Login,
) -> Result<(), TalkError> {
    wire.steps.begin("login");
    let offered: Vec<String> = hello
        .features()
        .into_iter()
        .filter(|feature| feature.first().is_some_and(|keyword| keyword == "AUTH"))
        .flat_map(|feature| feature.into_iter().skip(1))
        .collect();
    let offers = |mechanism: &str| offered.iter().any(|offered| offered == mechanism);
    let answer = if offers("PLAIN") {
        let plain = login.plain();
        let first = secret(wire, &format!("AUTH PLAIN {plain}"), "AUTH PLAIN ****").await?;
        // Some servers want it in a line of its own.
        if first.code == 334 { secret(wire, &plain, "****").await? } else { first }
    } else if offers("LOGIN") {
        let mut answer = command(wire, "AUTH LOGIN").await?;
        for (line, noted) in [(login.user64(), login.user64()), (login.password64(), "****".into())]
        {
            if answer.code == 334 {
                answer = secret(wire, &line, &noted).await?;
            }
        }
        answer
    } else if offered.is_empty() {
        return Err(TalkError::Wrong("it offers no login (AUTH)".into()));
    } else {
        let words = format!("it offers no login by PLAIN or LOGIN, only by {}", offered.join(", "));
        return Err(TalkError::Wrong(words));
    };
    wire.log.push(logged(&answer));
    match answer.code {
        235 => Ok(()),
        500.. => {
            Err(TalkError::Login(format!("the login of `{}` was refused: `{answer}`", login.user)))
        }
        _ => Err(TalkError::Wrong(format!(
            "the login of `{}` was answered `{answer}`, wanted 235",
            login.user
        ))),
    }
}

async fn command<S: Stream>(wire: &mut Wire<'_, S>, line: &str) -> Result<Reply, TalkError> {
    wire.send(line).await?;
    reply(wire).await
}

async fn secret<S: Stream>(
    wire: &mut Wire<'_, S>,
    line: &str,
    noted: &str,
) -> Result<Reply, TalkError> {
    wire.send_as(line, noted).await?;
    reply(wire).await
}

async fn reply<S: Stream>(wire: &mut Wire<'_, S>) -> Result<Reply, TalkError> {
    let mut reply = Reply::default();
    loop {
        let line = wire.line().await?;
        if reply.add(&line).map_err(|error| TalkError::Wrong(error.to_string()))? {
            return Ok(reply);
        }
    }
}

fn wanted(asked: &str, reply: &Reply, code: u16) -> Result<(), TalkError> {
    if reply.code == code {
        return Ok(());
    }
    Err(TalkError::Wrong(format!("{asked} was answered `{reply}`, wanted {code}")))
}

/// A reply as the original logs it: `(250, b'ok')`.
fn logged(reply: &Reply) -> String {
    format!("({}, {})", reply.code, python::bytes(reply.lines.join("\n").as_bytes()))
}
