//! The words of IMAP (RFC 9051), as far as a check says them.

use super::{
    login::Login,
    reply::{Response, Status},
    wire::{Stream, Wire},
};
use crate::checks::{
    net::{LineError, TalkError, told},
    python,
};

/// How a command ended.
struct Done {
    status: Status,
    text: String,
    /// What it said as it hung up.
    bye: Option<String>,
    /// What it can do, if it was asked.
    capabilities: Vec<String>,
}

/// From the greeting to where TLS begins.
pub(super) async fn start_tls<S: Stream>(wire: &mut Wire<'_, S>) -> Result<(), TalkError> {
    if greeting(wire).await? {
        let words = "it greets with PREAUTH, after which there is no STARTTLS";
        return Err(TalkError::Wrong(words.into()));
    }
    wire.steps.begin("starttls");
    let go = command(wire, "STARTTLS").await?;
    wanted("STARTTLS", &go)
}

/// From the greeting, unless it came before TLS, to the login, if there is one.
pub(super) async fn open<S: Stream>(
    wire: &mut Wire<'_, S>,
    greeted: bool,
    login: Option<&Login>,
) -> Result<(), TalkError> {
    let known = !greeted && greeting(wire).await?;
    match login {
        Some(_) if known => {
            Err(TalkError::Wrong("it greets with PREAUTH, after which there is no login".into()))
        }
        Some(login) => self::login(wire, login).await,
        None => Ok(()),
    }
}

/// Whether it still listens, and the end.
pub(super) async fn close<S: Stream>(wire: &mut Wire<'_, S>) -> Result<(), TalkError> {
    wire.steps.begin("noop");
    let noop = command(wire, "NOOP").await?;
    wire.log.push(logged(noop.status.word(), &noop.text));
    wanted("NOOP", &noop)?;
    wire.steps.begin("logout");
    let logout = command(wire, "LOGOUT").await?;
    match &logout.bye {
        Some(bye) => wire.log.push(logged("BYE", bye)),
        None => {
            wire.log.push(logged(logout.status.word(), &logout.text));
            wanted("LOGOUT", &logout)?;
        }
    }
    Ok(())
}

/// Takes the greeting, and says whether the server knows who is there without a login.
async fn greeting<S: Stream>(wire: &mut Wire<'_, S>) -> Result<bool, TalkError> {
    wire.steps.begin("greeting");
    let line = wire.line().await?;
    match Response::read(&line) {
        Some(Response::Untagged(name, _)) if name.eq_ignore_ascii_case("OK") => Ok(false),
        Some(Response::Untagged(name, _)) if name.eq_ignore_ascii_case("PREAUTH") => Ok(true),
        Some(Response::Untagged(..)) => {
            Err(TalkError::Wrong(format!("the greeting was `{}`, wanted `* OK`", told(&line))))
        }
        _ => Err(TalkError::Wrong(format!("what it says is no IMAP: `{}`", told(&line)))),
    }
}

async fn login<S: Stream>(wire: &mut Wire<'_, S>, login: &Login) -> Result<(), TalkError> {
    wire.steps.begin("login");
    let asked = command(wire, "CAPABILITY").await?;
    wanted("CAPABILITY", &asked)?;
    let can = |what: &str| asked.capabilities.iter().any(|capability| capability == what);
    let done = if can("AUTH=PLAIN") {
        let plain = login.plain();
        if can("SASL-IR") {
            let line = format!("AUTHENTICATE PLAIN {plain}");
            send(wire, &line, "AUTHENTICATE PLAIN ****", None).await?
        } else {
            send(wire, "AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN", Some(&plain)).await?
        }
    } else if can("LOGINDISABLED") {
        return Err(TalkError::Wrong("it takes no login by PLAIN or LOGIN".into()));
    } else {
        let line = login.command().ok_or_else(|| {
            let words =
                "it takes no login by PLAIN, which letters beyond ASCII in a name or password need";
            TalkError::Wrong(words.into())
        })?;
        send(wire, &line, "LOGIN ****", None).await?
    };
    wire.log.push(logged(done.status.word(), &done.text));
    let answer = format!("{} {}", done.status.word(), told(&done.text));
    let passing = done.text.to_ascii_uppercase().starts_with("[UNAVAILABLE]");
    match done.status {
        Status::Ok => Ok(()),
        Status::No if !passing => {
            Err(TalkError::Login(format!("the login of `{}` was refused: `{answer}`", login.user)))
        }
        _ => Err(TalkError::Wrong(format!(
            "the login of `{}` was answered `{answer}`, wanted OK",
            login.user
        ))),
    }
}

async fn command<S: Stream>(wire: &mut Wire<'_, S>, line: &str) -> Result<Done, TalkError> {
    send(wire, line, line, None).await
}

/// Sends a command, and what it waits for if it does, and takes all that is said until it is done. After a BYE that was
/// asked for, nothing more is waited for.
async fn send<S: Stream>(
    wire: &mut Wire<'_, S>,
    line: &str,
    noted: &str,
    mut more: Option<&str>,
) -> Result<Done, TalkError> {
    wire.commands += 1;
    let tag = format!("a{}", wire.commands);
    wire.send_as(&format!("{tag} {line}"), &format!("{tag} {noted}")).await?;
    let (mut bye, mut capabilities) = (None, Vec::new());
    loop {
        let line = match (wire.line().await, bye) {
            (Err(LineError::Closed), Some(bye)) => {
                return Err(TalkError::Wrong(format!("it hung up: `BYE {bye}`")));
            }
            (line, said) => {
                bye = said;
                line?
            }
        };
        match Response::read(&line) {
            Some(Response::Tagged(of, status, text)) if of == tag => {
                return Ok(Done { status, text: text.into(), bye, capabilities });
            }
            Some(Response::Untagged(name, text)) if name.eq_ignore_ascii_case("BYE") => {
                if noted == "LOGOUT" {
                    let (status, bye) = (Status::Ok, Some(text.into()));
                    return Ok(Done { status, text: String::new(), bye, capabilities });
                }
                bye = Some(told(text));
            }
            Some(Response::Untagged(name, text)) if name.eq_ignore_ascii_case("CAPABILITY") => {
                capabilities = text.split(' ').map(str::to_ascii_uppercase).collect();
            }
            Some(Response::More(_)) => {
                if let Some(more) = more.take() {
                    wire.send_as(more, "****").await?;
                }
            }
            // News of the mailbox, and the insides of literals.
            _ => {}
        }
    }
}

fn wanted(asked: &str, done: &Done) -> Result<(), TalkError> {
    if done.status == Status::Ok {
        return Ok(());
    }
    let answer = format!("{} {}", done.status.word(), told(&done.text));
    Err(TalkError::Wrong(format!("{asked} was answered `{answer}`, wanted OK")))
}

/// A response as the original logs it: `('OK', [b'done'])`.
fn logged(word: &str, text: &str) -> String {
    format!("('{word}', [{}])", python::bytes(text.as_bytes()))
}
