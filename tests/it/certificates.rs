//! Certificates in every state, shown to any type of check that looks at them.

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::look;
use fletchck_tests::pki::Pki;
use serde_json::{Value, json};

/// Asks a server that shows each name another certificate ([`Pki::by_name`]), and one that is trusted to all others.
pub(crate) async fn are_told_apart(kind: &str, port: u16, more: Value, pki: &Pki) -> Result<()> {
    for (host, selfsigned, want) in [
        ("localhost", false, None),
        ("127.0.0.1", false, None),
        ("localhost", true, None),
        ("expired.localhost", false, Some("the certificate expired on ")),
        ("expired.localhost", true, Some("the certificate expired on ")),
        ("expiring.localhost", false, Some("the certificate expires in ")),
        ("expiring.localhost", true, Some("the certificate expires in ")),
        ("future.localhost", false, Some("the certificate is not valid before ")),
        (
            "wrong.localhost",
            false,
            Some("the certificate is for other.example, not for wrong.localhost"),
        ),
        ("wrong.localhost", true, None),
        ("selfsigned.localhost", false, Some("the certificate is self-signed and nobody vouches")),
        ("selfsigned.localhost", true, None),
        (
            "authority.localhost",
            false,
            Some("the certificate is self-signed (it is an authority, CA:TRUE, of its own)"),
        ),
        ("authority.localhost", true, None),
    ] {
        let mut options = json!({"hostname": host, "port": port, "selfsigned": selfsigned});
        if !selfsigned {
            options["cafile"] = json!(pki.ca);
        }
        let words = want.map_or(Ok(()), Err);
        judge(kind, &mut options, &more, words).await?;
    }
    for (authority, words) in [
        (&pki.selfsigned.cert, "signed by CN=Test CA, which this machine does not trust"),
        (&pki.valid.key, "there is no PEM certificate in it"),
    ] {
        let mut options = json!({"hostname": "localhost", "port": port, "cafile": authority});
        judge(kind, &mut options, &more, Err(words)).await?;
    }
    // Whoever trusts just this one has it taken, though an authority is no server's certificate elsewhere.
    let mut own = json!({
        "hostname": "authority.localhost", "port": port, "cafile": pki.authority.cert,
    });
    judge(kind, &mut own, &more, Ok(())).await?;
    let trusted = json!({
        "hostname": "wrong.localhost", "port": port, "cafile": pki.ca, "serverName": "other.localhost",
    });
    let named = json!({
        "hostname": "localhost", "port": port, "cafile": pki.ca, "serverName": "wrong.localhost",
    });
    let warned = json!({"hostname": "localhost", "port": port, "cafile": pki.ca, "warn": 100});
    judge(kind, &mut trusted.clone(), &more, Err("not for other.localhost")).await?;
    judge(kind, &mut named.clone(), &more, Err("not for wrong.localhost")).await?;
    judge(kind, &mut warned.clone(), &more, Ok(())).await?;
    let mut alerting = warned;
    alerting["warnAlerts"] = json!(true);
    judge(kind, &mut alerting, &more, Ok(())).await
}

/// Looks at each of `checks` with our check and with the original's, whose verdicts must agree, and the lines that the
/// original logs of a pass, as far as they are `lasting`. Returns what each of the two saw, and in words.
pub(crate) async fn beside_the_original(
    state: &str,
    checks: &Value,
    pki: &Pki,
    lasting: fn(&str) -> String,
) -> Result<Vec<(Outcome, Value, String)>> {
    let mut seen = Vec::new();
    for (name, theirs) in look::originals(checks, &pki.ca)? {
        let mut options = checks[&name][1].clone();
        if options.get("selfsigned").is_none() {
            options["cafile"] = json!(pki.ca);
        }
        let kind = checks[&name][0].as_str().context("a type")?;
        let ours = look::ours(kind, &options).await?;
        let told = format!("{name}, {state}: {ours:?}, the original {theirs}");
        ensure!((ours.verdict == Verdict::Pass) == (theirs[0] == true), "{told}");
        ensure!(json!(ours.soft_fail) == theirs[3], "{told}");
        if ours.verdict == Verdict::Pass {
            for (ours, theirs) in ours.log.iter().zip(theirs[1].as_array().context("a log")?) {
                ensure!(lasting(ours) == lasting(theirs.as_str().context("a line")?), "{told}");
            }
        }
        seen.push((ours, theirs, told));
    }
    Ok(seen)
}

async fn judge(
    kind: &str,
    options: &mut Value,
    more: &Value,
    want: Result<(), &str>,
) -> Result<()> {
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    let seen = look::ours(kind, options).await?;
    let told = format!("{kind} {options}: {seen:?}");
    match want {
        Ok(()) => {
            let alerts = options.get("warnAlerts").is_some();
            let verdict = if alerts { Verdict::Fail } else { Verdict::Pass };
            ensure!(seen.verdict == verdict && seen.soft_fail.is_none(), "{told}");
            ensure!(seen.warning == options.get("warn").is_some(), "{told}");
        }
        Err(words) => {
            ensure!(seen.verdict == Verdict::Fail && seen.text.contains(words), "{told}");
            let certificate = seen.soft_fail.as_deref() == Some("certificate");
            ensure!(certificate != words.contains("no PEM"), "{told}");
        }
    }
    Ok(())
}
