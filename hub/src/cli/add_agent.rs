//! `fletchck add-agent NAME`.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use fletchck_agent::{
    config::{create, edit, load},
    say,
};
use fletchck_shared::{
    AgentId,
    config::{Listener, Site},
    topic::Topic,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{certificate, init::first_checks, passwords};

/// What is wanted of a new agent.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its id, which is also its user name at the broker.
    pub name: AgentId,
    /// Host name or address of the hub; `None`: this machine's.
    pub address: Option<String>,
    /// File to write, `-` for standard output; `None`: `NAME.conf`.
    pub output: Option<PathBuf>,
    /// Whether an agent that is known, or a file that is there, is replaced.
    pub replace: bool,
}

/// Makes a user for an agent at the hub's broker, and writes the configuration that the agent runs with.
///
/// # Errors
/// The hub has no broker that other machines reach, or knows the agent already, or a file cannot be written.
pub fn add_agent(path: &Path, wanted: &Wanted) -> Result<()> {
    let loaded = load(path)?;
    let name = wanted.name.as_str();
    ensure!(name != Topic::HUB, "`{name}` is the hub's own name; choose another one");
    let known = loaded.site.broker.as_ref().is_some_and(|broker| broker.users.contains_key(name));
    if known && !wanted.replace {
        bail!("there is an agent `{name}` already; --replace gives it a new password");
    }
    let output = wanted.output.clone().unwrap_or_else(|| format!("{name}.conf").into());
    let print = output == Path::new("-");
    if !print && !wanted.replace && fs::symlink_metadata(&output).is_ok() {
        bail!(
            "{} is there already; name another file with --output, or --replace",
            output.display()
        );
    }
    // What fragments and variables say lies over the file, so a user of this name in the file would count for nothing.
    let in_file = loaded.document.get("broker").and_then(|broker| broker.get("users"));
    if known && in_file.and_then(|users| users.get(name)).is_none() {
        bail!(
            "the broker's user `{name}` does not stand in {} but in `conf.d` or a variable; take it out there first",
            path.display()
        );
    }
    let link = link(&loaded.site, wanted.address.as_deref())?;
    let (password, hash) = passwords::for_machines()?;
    let mut mqtt = json!({
        "hostname": link.hostname,
        "port": link.port,
        "tls": link.tls,
        "username": name,
        "password": password.reveal(),
    });
    if let Some(ca) = &link.ca {
        mqtt["ca"] = ca.as_str().into();
    }
    let mut agent = Map::new();
    agent.insert("agent".into(), json!({ "id": name }));
    agent.insert("mqtt".into(), mqtt);
    agent.insert("actions".into(), json!({ "log": { "type": "log" } }));
    agent.insert("checks".into(), first_checks());

    let user = json!({ "password": hash.reveal() });
    edit(path, |site| {
        // The rest of the section may stand in `conf.d`; that is laid over this, user by user.
        let broker = object(site.entry("broker").or_insert(Value::Null));
        object(broker.entry("users").or_insert(Value::Null)).insert(name.into(), user);
    })?;
    let made = load(path)?.site.broker.and_then(|mut broker| broker.users.shift_remove(name));
    ensure!(
        made.is_some_and(|made| made.password.reveal() == hash.reveal()),
        "the user `{name}` stands in {} now but does not count: `conf.d` or a variable says otherwise",
        path.display()
    );
    if print {
        let text = serde_json::to_string_pretty(&agent)?;
        say::out(&format!("{text}\n")).context("printing the agent's configuration")?;
        return Ok(());
    }
    create(&output, &agent)
        .context("the agent is known, but has no configuration; use --replace")?;
    let Link { hostname, port, .. } = link;
    let output = output.display();
    say::out(&format!(
        "`{name}` may report to {hostname}:{port}.\nCopy {output} to it and run there: fletchck-agent --config {output}\n"
    ))?;
    Ok(())
}

/// The object at this place, which may have been something else.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it is an object now")
}

/// How an agent reaches the hub.
#[derive(Debug)]
struct Link {
    hostname: String,
    port: u16,
    tls: bool,
    /// Certificate to trust, PEM; `None`: one of the system's vouches for the hub.
    ca: Option<String>,
}

fn link(site: &Site, address: Option<&str>) -> Result<Link> {
    let broker = site.broker.as_ref().context(
        "this site has no `broker` that agents could report to; `fletchck init --profile hub` makes one",
    )?;
    let listener = best(&broker.listeners).context(
        "the broker listens nowhere; add {\"listen\": \"0.0.0.0:8883\", \"tls\": true} to `broker.listeners`",
    )?;
    ensure!(
        listener.listen.port() != 0,
        "the broker listens on any free port; give `broker.listeners` a port that agents can know"
    );
    let ip = listener.listen.ip();
    let hostname = match address {
        Some(address) => address.to_owned(),
        None if !ip.is_unspecified() => ip.to_string(),
        None => certificate::own_address().map_or("localhost".into(), |ip| ip.to_string()),
    };
    let port = listener.listen.port();
    if !listener.tls {
        say::err("warning: this listener has no TLS, so passwords cross the network as they are");
        return Ok(Link { hostname, port, tls: false, ca: None });
    }
    let web = site.webui.as_ref();
    let cert = listener.cert.as_ref().or(web.and_then(|web| web.cert.as_ref()));
    let cert = cert.context("the listener has no certificate; set `cert` and `key`")?;
    let (ca, names) = certificates(cert)?;
    if !names.contains(&hostname) {
        say::err(format_args!(
            "warning: the certificate does not hold for {hostname}, so the agent will refuse it; use --address with one of {}",
            names.join(", ")
        ));
    }
    Ok(Link { hostname, port, tls: true, ca })
}

/// With TLS rather than without, and for every machine rather than for this one.
fn best(listeners: &[Listener]) -> Option<&Listener> {
    listeners.iter().min_by_key(|listener| (!listener.tls, listener.listen.ip().is_loopback()))
}

/// The certificate at the end of a chain, if it is one that vouches for itself, and the names that the chain holds for.
fn certificates(path: &Path) -> Result<(Option<String>, Vec<String>)> {
    let reading = || format!("reading the certificate {}", path.display());
    let pem = fs::read(path).with_context(reading)?;
    let chain: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().with_context(reading)?;
    let (first, last) = chain.first().zip(chain.last()).with_context(reading)?;
    let (_, leaf) = X509Certificate::from_der(first).with_context(reading)?;
    let (_, root) = X509Certificate::from_der(last).with_context(reading)?;
    let names = leaf.subject_alternative_name().with_context(reading)?;
    let names =
        names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
            _ => None,
        });
    // An authority that everyone knows is not copied: it may change its chain at any time.
    let ca = (root.subject() == root.issuer()).then(|| to_pem(last));
    Ok((ca, names.collect()))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

fn to_pem(der: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Profile, init};

    #[test]
    fn an_agent_gets_a_configuration_that_runs_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = folder.path().join("hub.conf");
        let site = init::Wanted { profile: Profile::Hub, port: None, webui: true, replace: false };
        init::make(&hub, site).expect("made");
        let output = folder.path().join("nas.conf");
        let mut wanted = Wanted {
            name: "nas".try_into().expect("an id"),
            address: Some("127.0.0.1".into()),
            output: Some(output.clone()),
            replace: false,
        };
        add_agent(&hub, &wanted).expect("added");
        let agent = load(&output).expect("a configuration");
        assert_eq!(agent.faults, []);
        let mqtt = agent.site.mqtt.expect("a link");
        assert_eq!((mqtt.port, mqtt.tls, mqtt.username.as_deref()), (8883, true, Some("nas")));
        assert_eq!(agent.site.agent.id.as_ref().map(|id| id.as_str()), Some("nas"));
        let authority =
            fs::read_to_string(folder.path().join(certificate::CA_CERT)).expect("there");
        assert_eq!(mqtt.ca.map(|ca| ca.replace('\r', "")), Some(authority.replace('\r', "")));
        let users = |path: &Path| load(path).expect("read").site.broker.expect("a broker").users;
        let first = users(&hub)["nas"].password.clone();

        assert!(add_agent(&hub, &wanted).is_err(), "known already");
        wanted.replace = true;
        add_agent(&hub, &wanted).expect("replaced");
        assert_ne!(users(&hub)["nas"].password, first);
    }

    #[test]
    fn an_agent_is_known_to_a_broker_that_stands_in_a_fragment() {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = folder.path().join("hub.conf");
        let fragment = folder.path().join("conf.d/broker.json");
        fs::create_dir(folder.path().join("conf.d")).expect("made");
        fs::write(&hub, r#"{"checks": {}}"#).expect("written");
        let mut broker = json!({"broker": {"listeners": [{"listen": "127.0.0.1:1883"}]}});
        fs::write(&fragment, broker.to_string()).expect("written");
        let output = folder.path().join("nas.conf");
        let wanted = Wanted {
            name: "nas".try_into().expect("an id"),
            address: None,
            output: Some(output.clone()),
            replace: true,
        };
        add_agent(&hub, &wanted).expect("added");
        let site = load(&hub).expect("a configuration").site;
        assert!(site.broker.is_some_and(|broker| broker.users.contains_key("nas")));

        // One that the fragment has counts, whatever the file says.
        fs::write(&hub, r#"{"checks": {}}"#).expect("written");
        fs::remove_file(&output).expect("written before");
        let (_, hash) = passwords::for_machines().expect("a password");
        broker["broker"]["users"] = json!({"nas": {"password": hash.reveal()}});
        fs::write(&fragment, broker.to_string()).expect("written");
        let error = add_agent(&hub, &wanted).expect_err("made elsewhere").to_string();
        assert!(error.contains("conf.d") && !output.exists(), "{error}");
    }
}
