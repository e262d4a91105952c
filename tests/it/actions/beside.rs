//! What ours sends, beside what the original sends of the same check.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::actions::{FailingMember, Letter, Notice};
use fletchck_shared::{Severity, policy::News};
use fletchck_tests::{
    sink::{Asked, Sink},
    tell::{self, notice},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A check of the original's that stands as a notice says.
fn check(notice: &Notice) -> Value {
    let failing = notice.severity != Severity::Ok;
    let mut check = json!({
        "name": notice.check.as_str(), "type": notice.kind, "log": notice.log,
        "time": notice.at.to_rfc3339(), "zone": notice.zone.name(),
    });
    let members = notice.members.iter();
    if notice.kind == "sequence" {
        let names: Vec<_> = members.clone().map(|member| member.name.as_str()).collect();
        check["fails"] = names.join(",").into();
        let soft = members.clone().filter(|member| member.soft.is_some());
        check["soft"] = soft.map(|member| member.name.clone()).collect();
        let levels = members.filter_map(|member| Some((&member.name, member.level.as_ref()?)));
        check["levels"] =
            levels.map(|(name, level)| (name.clone(), Value::from(level.as_str()))).collect();
    } else {
        check["fails"] = failing.into();
    }
    check
}

/// A failure, its recovery, and a sequence of which two members fail.
fn notices() -> Result<Vec<Notice>> {
    let mut failed = notice("web & shop", News::Failed)?;
    // The original tells the last line of its log.
    failed.log.reverse();
    failed.zone = "Australia/Adelaide".parse().expect("a zone");
    let recovered = notice("web & shop", News::Recovered)?;
    let mut sequence = notice("all", News::Failed)?;
    sequence.kind = "sequence".into();
    let member = |name: &str, soft: Option<&str>, level: Option<&str>| FailingMember {
        name: name.into(),
        soft: soft.map(String::from),
        level: level.map(String::from),
    };
    sequence.members =
        vec![member("disk", None, Some("91 %")), member("web", Some("router"), None)];
    Ok(vec![failed, recovered, sequence])
}

fn alone(notice: Notice) -> Result<Letter> {
    Letter::of([notice], "sms/", None).context("a notice")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_message_is_the_originals() -> Result<()> {
    let sink = Sink::start().await?;
    let options = json!({
        "url": format!("{}/smsp-in", sink.url()), "apikey": "key-1", "site": "Home",
        "recipients": ["+61400000001", "+61400000002"],
    });
    let bare =
        json!({ "url": format!("{}/smsp-in", sink.url()), "recipients": ["1"], "icon": "*" });
    for options in [&options, &bare] {
        for notice in notices()? {
            let telling = json!(["sms", options, check(&notice)]);
            tokio::task::spawn_blocking(move || tell::originals(&[telling], "/".as_ref()))
                .await??;
            let answer = tell::ours("sms", options, &alone(notice)?).await?;
            ensure!(answer == Ok("200 OK: ok".into()), "{answer:?}");
            let [theirs, ours] = &sink.asked()[..] else { anyhow::bail!("two requests") };
            let seen = |asked: &Asked| {
                let fields =
                    ["content-type", "authorization"].map(|name| asked.header(name).to_owned());
                (asked.method.clone(), asked.path.clone(), fields, asked.form())
            };
            ensure!(seen(theirs) == seen(ours), "{:#?}\n{:#?}", seen(theirs), seen(ours));
            println!("{:?}\n", ours.form());
        }
    }
    Ok(())
}

/// A sendmail program that keeps its arguments and what it reads.
struct Keeper {
    dir: TempDir,
}

impl Keeper {
    fn new() -> Result<Self> {
        let keeper = Self { dir: TempDir::new()? };
        let script = "#!/bin/sh\ncd \"${0%/*}\" && echo \"$@\" > arguments && cat > mail\n";
        fs::write(keeper.program(), script)?;
        fs::set_permissions(keeper.program(), fs::Permissions::from_mode(0o755))?;
        Ok(keeper)
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("sendmail")
    }

    /// The arguments and the mail that it was given last.
    fn kept(&self) -> Result<(String, String)> {
        let kept = |name| fs::read_to_string(self.dir.path().join(name));
        Ok((kept("arguments")?, kept("mail")?))
    }
}

fn field(mail: &str, name: &str) -> String {
    let line = mail.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_the_originals_subject_and_goes_the_same_way() -> Result<()> {
    let keeper = Keeper::new()?;
    let options = json!({
        "recipients": ["ann@example.org"], "sender": "watch@example.org",
        "fallback": keeper.program(), "site": "Home",
    });
    for notice in notices()? {
        let telling = json!(["email", options, check(&notice)]);
        tokio::task::spawn_blocking(move || tell::originals(&[telling], "/".as_ref())).await??;
        let (their_arguments, theirs) = keeper.kept()?;
        let letter = alone(notice)?;
        let answer = tell::ours("email", &options, &letter).await?;
        ensure!(answer == Ok("`sendmail` ended with 0".into()), "{answer:?}");
        let (our_arguments, ours) = keeper.kept()?;
        ensure!(their_arguments == our_arguments, "{their_arguments} {our_arguments}");
        for name in ["Subject", "From"] {
            ensure!(field(&theirs, name) == field(&ours, name), "{theirs}\n{ours}");
        }
        for mail in [&theirs, &ours] {
            ensure!(!field(mail, "Date").is_empty() && !field(mail, "Message-ID").is_empty());
        }
        ensure!(field(&ours, "Message-ID") == format!("<{}@example.org>", letter.id), "{ours}");
    }
    Ok(())
}
