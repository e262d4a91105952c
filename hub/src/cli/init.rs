//! `fletchck init`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use fletchck_agent::{config::create, say};
use fletchck_shared::Secret;
use serde_json::{Map, Value, json};

use super::{Profile, certificate, passwords, terminal};

/// Port of the pages of a new site.
pub const PAGE_PORT: u16 = 8443;

/// Port that agents report to, with TLS.
pub const BROKER_PORT: u16 = 8883;

/// What a new site is made with.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// What it is for.
    pub profile: Profile,
    /// Port of the pages; `None`: [`PAGE_PORT`].
    pub port: Option<u16>,
    /// Whether it has pages.
    pub webui: bool,
    /// Whether to replace a site without asking.
    pub replace: bool,
}

/// A site that was made.
#[derive(Debug)]
pub struct Made {
    /// Its configuration.
    pub path: PathBuf,
    /// Address of its pages and the admin's password, if it has any. The password is nowhere else.
    pub pages: Option<(String, Secret)>,
}

/// Makes a site and says on standard output how to get in.
///
/// # Errors
/// There is a site already and nobody agreed to replace it, or it cannot be written.
pub fn init(path: &Path, wanted: Wanted) -> Result<Made> {
    let made = make(path, wanted)?;
    let pages = match &made.pages {
        Some((address, password)) => {
            format!("Address:\t{address}\nUser:\t\tadmin\nPassword:\t{}", password.reveal())
        }
        None => "It has no pages.".into(),
    };
    let agents = match wanted.profile {
        Profile::Agent => {
            "It reports to nobody yet: `fletchck add-agent NAME` on the hub makes a configuration that does."
        }
        _ => "Agents:\t\tadd one with `fletchck add-agent NAME`",
    };
    say::out(&format!("Site:\t\t{}\n{pages}\n{agents}\n", made.path.display()))?;
    Ok(made)
}

/// Makes a site.
///
/// # Errors
/// As [`init`].
pub fn make(path: &Path, wanted: Wanted) -> Result<Made> {
    let path = std::path::absolute(path).context("finding the current folder")?;
    if fs::symlink_metadata(&path).is_ok() && !wanted.replace {
        let shown = path.display();
        if !terminal::agrees(&format!("There is a site in {shown}. Replace it?")) {
            bail!("{shown} is there already and was not replaced; `init --replace` replaces it");
        }
    }
    let folder = path.parent().context("the configuration needs a folder to lie in")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let hub = wanted.profile != Profile::Agent;
    if hub {
        certificate::make(folder).context("making the certificate")?;
    }
    let page_port = wanted.port.unwrap_or(PAGE_PORT);
    let mut pages = None;
    let mut site = Map::new();
    site.insert("base".into(), folder.to_string_lossy().into());
    site.insert("timezone".into(), Value::Null);
    if hub && wanted.webui {
        let (section, address, password) = webui(wanted)?;
        site.insert("webui".into(), section);
        pages = Some((address, password));
    }
    if hub {
        let mut listener = json!({ "listen": format!("0.0.0.0:{BROKER_PORT}"), "tls": true });
        if pages.is_none() {
            listener["cert"] = certificate::CERT.into();
            listener["key"] = certificate::KEY.into();
        }
        site.insert("broker".into(), json!({ "listeners": [listener], "users": {} }));
        site.insert("fleet".into(), json!({ "actions": ["log"] }));
    }
    // What is known of a check while another one fails is worth knowing; only sites of the original's skip its runs.
    site.insert("defaults".into(), json!({ "skip": false }));
    site.insert("actions".into(), json!({ "log": { "type": "log" } }));
    let mut checks = first_checks();
    if pages.is_some() {
        checks["page"] = own_page(folder, page_port);
    }
    site.insert("checks".into(), checks);
    create(&path, &site)?;
    Ok(Made { path, pages })
}

/// What every site begins with, as in the original: memory, processor and disk of its machine, in a sequence that runs
/// every five minutes.
pub(super) fn first_checks() -> Value {
    json!({
        "ram": { "type": "memory", "options": { "level": 75 } },
        "load": { "type": "cpu", "options": { "level": 75 } },
        "root": { "type": "disk", "options": { "volume": "/", "level": 75 } },
        "self-check": {
            "type": "sequence",
            "trigger": { "interval": { "minutes": 5 } },
            "threshold": 2,
            "failAction": true,
            "passAction": true,
            "options": { "checks": ["ram", "load", "root"] },
            "actions": ["log"],
        },
    })
}

/// The site's own page, its certificate included, which nobody else may be looking at.
fn own_page(folder: &Path, port: u16) -> Value {
    json!({
        "type": "https",
        "trigger": { "interval": { "minutes": 5 } },
        "threshold": 2,
        "failAction": true,
        "passAction": true,
        "options": {
            "hostname": "localhost",
            "port": port,
            "reqPath": "/healthz",
            "cafile": folder.join(certificate::CA_CERT),
            "status": "below 400",
        },
        "actions": ["log"],
    })
}

fn webui(wanted: Wanted) -> Result<(Value, String, Secret)> {
    let port = wanted.port.unwrap_or(PAGE_PORT);
    // A hub is looked at from elsewhere, a single machine by whoever sits at it; its owner opens it if need be.
    let (hostname, shown) = match wanted.profile {
        Profile::Hub => {
            let address = certificate::own_address().map(|ip| match ip.is_ipv6() {
                true => format!("[{ip}]"),
                false => ip.to_string(),
            });
            ("0.0.0.0", address.unwrap_or("localhost".into()))
        }
        Profile::Standalone | Profile::Agent => ("localhost", "localhost".into()),
    };
    let (password, hash) = passwords::for_people()?;
    let (_, dummy) = passwords::for_people()?;
    let section = json!({
        "name": "Fletchck",
        "hostname": hostname,
        "port": port,
        "cert": certificate::CERT,
        "key": certificate::KEY,
        "users": { "admin": hash.reveal(), "": dummy.reveal() },
    });
    Ok((section, format!("https://{shown}:{port}"), password))
}

#[cfg(test)]
mod tests {
    use fletchck_agent::config::load;

    use super::*;

    const WANTED: Wanted =
        Wanted { profile: Profile::Standalone, port: None, webui: true, replace: false };

    #[test]
    fn every_profile_makes_a_site_without_faults() {
        for profile in [Profile::Standalone, Profile::Agent, Profile::Hub] {
            for webui in [true, false] {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("new/my.conf");
                let made = make(&path, Wanted { profile, webui, ..WANTED }).expect("made");
                let loaded = load(&path).expect("a configuration");
                assert_eq!(loaded.faults, [], "{profile:?}");
                let page = webui && profile != Profile::Agent;
                assert_eq!(loaded.site.checks.len(), if page { 5 } else { 4 });
                assert_eq!(made.pages.is_some(), webui && profile != Profile::Agent);
                assert_eq!(loaded.site.fleet.hub, profile != Profile::Agent);
                let skips = loaded.site.checks.values().filter(|check| check.policy.skip);
                assert_eq!(skips.count(), 0, "dependencies hide alerts, not runs");
            }
        }
    }

    #[test]
    fn a_new_site_raises_no_alarm_over_pages_that_the_command_line_turned_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("my.conf");
        make(&path, WANTED).expect("made");
        let mut loaded = load(&path).expect("a configuration");
        assert!(!loaded.site.checks["page"].paused);
        loaded.site.webui = None;
        loaded.follow_pages();
        assert!(loaded.site.checks["page"].paused);
    }

    #[test]
    fn a_site_is_not_replaced_unless_asked_and_its_authority_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("my.conf");
        make(&path, WANTED).expect("made");
        let before = fs::read(&path).expect("there");
        let authority = fs::read(folder.path().join(certificate::CA_CERT)).expect("there");
        let error = make(&path, WANTED).expect_err("there already").to_string();
        assert!(error.contains("--replace"), "{error}");
        assert_eq!(fs::read(&path).expect("there"), before);
        make(&path, Wanted { replace: true, ..WANTED }).expect("replaced");
        assert_ne!(fs::read(&path).expect("there"), before);
        assert_eq!(fs::read(folder.path().join("my.conf.bak")).expect("kept"), before);
        assert_eq!(fs::read(folder.path().join(certificate::CA_CERT)).expect("there"), authority);
    }
}
