//! The check `domain` with nginx in the place of registries.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use fletchck_agent::checks::Before;
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::look;
use fletchck_tests::nginx::Nginx;
use fletchck_tests::pki::Pki;
use serde_json::json;
use tempfile::TempDir;

struct Registry {
    nginx: Nginx,
    pki: Pki,
    _dir: TempDir,
}

impl Registry {
    async fn start() -> Result<Self> {
        let dir = TempDir::new()?;
        let pki = Pki::create(dir.path())?;
        let nginx = Nginx::start(&pki).await?;
        let ends = Utc::now() + TimeDelta::days(90);
        let answer = json!({
            "objectClassName": "domain", "ldhName": "EXAMPLE.TEST", "status": ["active"],
            "events": [{"eventAction": "expiration", "eventDate": ends.to_rfc3339()}],
        });
        nginx.serve("domain/example.test", &answer.to_string())?;
        Ok(Self { nginx, pki, _dir: dir })
    }

    /// Asks the server at this path of the encrypted port.
    async fn ask(&self, name: &str, host: &str, path: &str, before: &Before) -> Result<Outcome> {
        let server = format!("https://{host}:{}{path}", self.nginx.https);
        let options = json!({"domain": name, "server": server, "cafile": self.pki.ca});
        let outcome = look::ours_after("domain", &options, before).await?;
        println!("{}", outcome.text);
        Ok(outcome)
    }
}

#[tokio::test]
async fn a_registry_is_asked_where_a_redirect_leads() -> Result<()> {
    let registry = Registry::start().await?;
    let none = Before::default();
    let direct = registry.ask("example.test", "localhost", "/", &none).await?;
    ensure!(direct.verdict == Verdict::Pass, "{direct:?}");
    ensure!(direct.level.as_deref() == Some("89 days"), "{direct:?}");

    let led = registry.ask("example.test", "localhost", "/moved/", &none).await?;
    ensure!(led.verdict == Verdict::Pass && led.level == direct.level, "{led:?}");
    let steps: Vec<_> = led.phases.iter().map(|phase| phase.name.as_str()).collect();
    let once = ["dns", "connect", "tls", "first byte", "body"];
    ensure!(steps == [once, once].concat(), "{steps:?}");
    let requests = registry.nginx.requests()?;
    let last = requests.last().context("a request")?;
    ensure!(last.starts_with("GET /domain/example.test HTTP/1.1 200 fletchck/"), "{requests:?}");

    let open = registry.ask("example.test", "localhost", "/plain/", &none).await?;
    ensure!(
        open.verdict == Verdict::Fail && open.text.contains("which is not encrypted"),
        "{open:?}"
    );
    let free = registry.ask("free.test", "localhost", "/moved/", &none).await?;
    ensure!(free.verdict == Verdict::Fail, "{free:?}");
    ensure!(free.text.starts_with("free.test is not registered"), "{free:?}");
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_busy_is_not_pressed() -> Result<()> {
    let registry = Registry::start().await?;
    let none = Before::default();
    let busy = registry.ask("example.test", "localhost", "/busy/", &none).await?;
    ensure!(busy.verdict == Verdict::Fail, "{busy:?}");
    ensure!(busy.text.contains("nothing is known of example.test yet"), "{busy:?}");

    let first = registry.ask("example.test", "localhost", "/", &none).await?;
    let kept = Before { kept: first.keep.clone(), ..Before::default() };
    let asked = registry.nginx.requests()?.len();
    let again = registry.ask("example.test", "localhost", "/", &kept).await?;
    ensure!(again.text.ends_with(" (asked 0 minutes ago)"), "{again:?}");
    ensure!(registry.nginx.requests()?.len() == asked, "it was asked again");
    Ok(())
}

#[tokio::test]
async fn the_certificates_of_registries_are_judged() -> Result<()> {
    let registry = Registry::start().await?;
    for (host, words) in [
        ("wrong.localhost", "the certificate is for other.example, not for wrong.localhost"),
        ("expired.localhost", "the certificate expired on "),
    ] {
        let seen = registry.ask("example.test", host, "/", &Before::default()).await?;
        ensure!(seen.verdict == Verdict::Fail && seen.text.contains(words), "{seen:?}");
        ensure!(seen.soft_fail.as_deref() == Some("certificate"), "{seen:?}");
    }
    // Its certificate must be good now, however soon it ends: the days are those of the domain.
    let ending =
        registry.ask("example.test", "expiring.localhost", "/", &Before::default()).await?;
    ensure!(!ending.text.contains("certificate"), "{ending:?}");
    Ok(())
}
