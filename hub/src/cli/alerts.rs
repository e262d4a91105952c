//! What people decide about alerts, from the command line: the same forms that the pages have.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use serde_json::Value;

use super::{
    Command,
    args::{ActionCommand, Silence},
    control,
};

/// Carries out one of these commands at the site that runs with this configuration.
///
/// # Errors
/// No site runs with it, or it does not answer.
pub async fn alerts(config: &Path, command: &Command) -> anyhow::Result<ExitCode> {
    let answer = match command {
        Command::Ack { check, comment, sticky, length } => {
            let sticky = if *sticky { "true" } else { "false" };
            let length = length.as_deref().unwrap_or_default();
            let fields = [
                ("check", check.as_str()),
                ("comment", comment),
                ("sticky", sticky),
                ("for", length),
            ];
            control::post(config, "/ack", &fields).await?
        }
        Command::Unack { check } => {
            control::post(config, "/unack", &[("check", check.as_str())]).await?
        }
        Command::Snooze { check, length, reason } => {
            let fields = [
                ("kind", "snooze"),
                ("exactly", check.as_str()),
                ("for", length),
                ("reason", reason),
            ];
            control::post(config, "/silence", &fields).await?
        }
        Command::Silence(silence) => be_silent(config, "silence", silence).await?,
        Command::Maintenance(silence) => be_silent(config, "maintenance", silence).await?,
        Command::EndSilence { id } => {
            control::post(config, "/silence/end", &[("id", &id.to_string())]).await?
        }
        Command::Resend { id } => {
            let id = id.map(|id| id.to_string());
            let fields: Vec<_> = id.iter().map(|id| ("id", id.as_str())).collect();
            control::post(config, "/deliveries/again", &fields).await?
        }
        Command::Action { command: ActionCommand::Test { name } } => {
            control::post(config, "/action/test", &[("action", name.as_str())]).await?
        }
        _ => {
            let document = control::get(config, "/alerts").await?;
            show(&mut io::stdout().lock(), &document)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let text = answer.text.trim_end();
    if answer.done {
        writeln!(io::stdout().lock(), "{text}")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stderr().lock(), "fletchck: {text}")?;
    Ok(ExitCode::FAILURE)
}

async fn be_silent(
    config: &Path,
    kind: &str,
    silence: &Silence,
) -> anyhow::Result<control::Answer> {
    let label = silence.label.join(",");
    let fields = [
        ("kind", kind),
        ("check", &silence.check),
        ("agent", &silence.agent),
        ("label", &label),
        ("start", &silence.start),
        ("end", &silence.end),
        ("for", &silence.length),
        ("cron", &silence.cron),
        ("reason", &silence.reason),
    ];
    control::post(config, "/silence", &fields).await
}

/// Shows what `/alerts` says, a line each.
fn show(out: &mut impl Write, document: &Value) -> io::Result<()> {
    let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut nothing = true;
    for (key, what) in [("givenUp", "given up"), ("waiting", "waiting")] {
        for told in list(key) {
            nothing = false;
            let (check, action) = (text(&told["notice"]["check"]), text(&told["action"]));
            let group = match text(&told["group"]) {
                group if group.is_empty() => String::new(),
                group => format!(" ({group})"),
            };
            let error = match text(&told["error"]) {
                error if error.is_empty() => String::new(),
                error => format!(": {error}"),
            };
            let why = match text(&told["why"]) {
                why if why.is_empty() => String::new(),
                why => format!("; it {why}"),
            };
            let (id, word, when) = (&told["id"], text(&told["word"]), text(&told["when"]));
            writeln!(
                out,
                "{what} {id}: {word} {check} to {action}{group}, since {when}{error}{why}"
            )?;
        }
        let shown = list(key).len() as u64;
        let more = document[format!("{key}Count")].as_u64().unwrap_or(shown).saturating_sub(shown);
        if more > 0 {
            writeln!(out, "and {more} more {what}")?;
        }
    }
    for silence in list("silences") {
        nothing = false;
        let of = &silence["silence"];
        let (kind, by, reason) = (text(&of["kind"]), text(&of["by"]), text(&of["reason"]));
        let (checks, when) = (text(&silence["checks"]), text(&silence["when"]));
        let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
        match silence["name"].as_str() {
            Some(name) => {
                writeln!(out, "{kind} `{name}` of the configuration: {checks}, {when}{reason}")?
            }
            None => writeln!(out, "{kind} {}: {checks}, {when}, by {by}{reason}", silence["id"])?,
        }
    }
    for taken in list("acknowledged") {
        nothing = false;
        let (check, ack) = (text(&taken["check"]), &taken["ack"]);
        let comment = match text(&ack["comment"]) {
            comment if comment.is_empty() => comment,
            comment => format!(": {comment}"),
        };
        writeln!(out, "acknowledged: {check}, by {}{comment}", text(&ack["by"]))?;
    }
    if nothing {
        writeln!(out, "everybody was told of everything, and nothing is silenced")?;
    }
    Ok(())
}
