//! The check of echo requests in networks with faults, with and without the privilege for raw sockets.

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::netns::Netns;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

/// A machine with checks, and the router that all its packets go to.
struct Net {
    here: Netns,
    router: Netns,
}

impl Net {
    fn create() -> Result<Option<Self>> {
        let (Some(here), Some(router)) = (Netns::create()?, Netns::create()?) else {
            return Ok(None);
        };
        here.connect(&router)?;
        // Its link-local address is made of this one whenever it is switched on.
        router.ip("link set eth0 down")?;
        router.ip("link set eth0 address 02:00:00:00:00:02")?;
        router.ip("link set eth0 up")?;
        for (net, last) in [(&here, 1), (&router, 2)] {
            net.ip(&format!("address add 198.18.77.{last}/24 dev eth0"))?;
            net.ip(&format!("address add fd77::{last}/64 dev eth0"))?;
            net.sysctl("net.ipv4.ip_forward", "1")?;
            net.sysctl("net.ipv6.conf.all.forwarding", "1")?;
            // What they say of packets is not held back.
            net.sysctl("net.ipv4.icmp_ratelimit", "0")?;
            net.sysctl("net.ipv6.icmp.ratelimit", "0")?;
            // Nobody there is found out in a third of a second.
            net.sysctl("net.ipv4.neigh.eth0.retrans_time_ms", "100")?;
            net.sysctl("net.ipv6.neigh.eth0.retrans_time_ms", "100")?;
        }
        // What it has sent comes back to it from the router.
        here.sysctl("net.ipv4.conf.all.accept_local", "1")?;
        here.ip("route add default via 198.18.77.2")?;
        here.ip("route add default via fd77::2")?;
        for (kind, last) in [("prohibit", 1), ("unreachable", 2), ("blackhole", 3)] {
            router.ip(&format!("route add {kind} 198.51.100.{last}"))?;
            router.ip(&format!("route add {kind} 2001:db8::{last}"))?;
        }
        router.ip("route add 198.51.100.4 via 198.18.77.1")?;
        router.ip("route add 2001:db8::4 via fd77::1")?;
        Ok(Some(Self { here, router }))
    }
}

/// What `fletchck check NAME --explain` prints in a network, with or without the capability for raw sockets.
async fn check(net: &Netns, site: &Fletchck, name: &str, raw: bool) -> Result<String> {
    let program = Program::Agent.path()?;
    let mut command = net.command("setpriv");
    if !raw {
        command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]);
    }
    command.arg("--").arg(program).arg("--config").arg(site.config_path());
    command.args(["check", name, "--explain"]);
    let output = spawn_blocking(move || command.output()).await?.context("running it")?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// A site with a check for each of these options.
fn site(all: &[Value]) -> Result<Fletchck> {
    let mut checks = Map::new();
    for (nth, options) in all.iter().enumerate() {
        let check =
            json!({"type": "ping", "trigger": {"interval": {"hours": 1}}, "options": options});
        checks.insert(format!("{nth}"), check);
    }
    Fletchck::prepare(Program::Agent, &json!({ "checks": checks }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_says_is_told_with_and_without_privilege() -> Result<()> {
    let Some(net) = Net::create()? else { return Ok(()) };
    let prohibited = "says that it is not let through (administratively prohibited: a firewall?)";
    let unreachable = "says that the host cannot be reached (is the machine up?)";
    let none = "this machine says that nobody on its network has this address (is the machine up?)";
    let circles =
        "says that its time to live ran out on the way (do two routers send it in circles?)";
    let silent =
        "answered none of 3 echo requests within 0.4 s: is it up, and does no firewall drop them?";
    let cases = [
        ("198.18.77.2", "PASS", "198.18.77.2 answered 3 of 3 echo requests, the round trip is"),
        ("fd77::2", "PASS", "fd77::2 answered 3 of 3 echo requests, the round trip is"),
        ("fe80::ff:fe00:2%eth0", "PASS", "answered 3 of 3 echo requests"),
        ("02:00:00:00:00:02", "PASS", "answered 3 of 3 echo requests"),
        ("198.51.100.1", "FAIL", &format!("198.18.77.2 {prohibited}")),
        ("2001:db8::1", "FAIL", &format!("fd77::2 {prohibited}")),
        ("198.51.100.2", "FAIL", &format!("198.18.77.2 {unreachable}")),
        // Of such a route IPv6 says that there is none.
        ("2001:db8::2", "FAIL", "fd77::2 says that there is no route to it"),
        ("198.51.100.3", "FAIL", silent),
        ("2001:db8::3", "FAIL", silent),
        ("198.51.100.4", "FAIL", circles),
        ("2001:db8::4", "FAIL", circles),
        ("203.0.113.1", "FAIL", "198.18.77.2 says that there is no route to it"),
        ("2001:db8:1::1", "FAIL", "fd77::2 says that there is no route to it"),
        ("198.18.77.9", "FAIL", none),
        ("fd77::9", "FAIL", none),
    ];
    let options = cases.map(|(host, ..)| {
        let timeout = if host.ends_with('3') { 0.4 } else { 5.0 };
        // A router says no more than once a second, in the long run, that it cannot deliver something.
        let spacing = if ["198.51.100.1", "198.51.100.2", "203.0.113.1"].contains(&host) {
            1.2
        } else {
            0.01
        };
        json!({"hostname": host, "spacing": spacing, "timeout": timeout})
    });
    let site = site(&options)?;
    for (range, raw, socket) in [
        ("0 2147483647", false, "* a socket without privilege with the id "),
        ("0 2147483647", true, "* a socket without privilege with the id "),
        ("1 0", true, "* a raw socket with the id "),
    ] {
        net.here.sysctl("net.ipv4.ping_group_range", range)?;
        for (nth, (host, verdict, words)) in cases.iter().enumerate() {
            let said = check(&net.here, &site, &nth.to_string(), raw).await?;
            ensure!(said.starts_with(verdict) && said.contains(words), "{host}: {words}\n{said}");
            ensure!(said.contains(socket), "{said}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_ping_is_told_how_to_allow_it() -> Result<()> {
    let Some(net) = Netns::create()? else { return Ok(()) };
    net.sysctl("net.ipv4.ping_group_range", "1 0")?;
    let site = site(&[
        json!({"hostname": "127.0.0.1"}),
        json!({"hostname": "::1"}),
        json!({"hostname": "192.0.2.1"}),
    ])?;
    for (name, host) in [("0", "127.0.0.1"), ("1", "::1")] {
        let said = check(&net, &site, name, false).await?;
        let advice = format!(
            "FAIL  {name}: {host}: this machine does not let fletchck ping: allow it to every program with `sysctl -w \
             net.ipv4.ping_group_range=\"0 2147483647\"`, or give this one the capability CAP_NET_RAW\n"
        );
        ensure!(said.starts_with(&advice), "{said}");
        ensure!(said.contains("trying again cannot help: permission"), "{said}");
        ensure!(check(&net, &site, name, true).await?.starts_with("PASS"), "with the capability");
    }
    net.sysctl("net.ipv4.ping_group_range", "0 2147483647")?;
    for name in ["0", "1"] {
        ensure!(check(&net, &site, name, false).await?.starts_with("PASS"), "where all may");
    }
    let said = check(&net, &site, "2", false).await?;
    ensure!(said.contains("192.0.2.1: there is no route to 192.0.2.1 from this machine"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn some_may_be_lost_and_no_more() -> Result<()> {
    let Some(net) = Net::create()? else { return Ok(()) };
    // The router answers six at once, and from then on one in ten seconds.
    net.router.sysctl("net.ipv4.icmp_ratemask", "1")?;
    net.router.sysctl("net.ipv4.icmp_ratelimit", "10000")?;
    let lossy = |loss| json!({"hostname": "198.18.77.2", "count": 12, "spacing": 0.02, "timeout": 1, "loss": loss});
    let site = site(&[lossy(40), lossy(99)])?;
    let said = check(&net.here, &site, "0", true).await?;
    let words = "198.18.77.2 answered 6 of 12 echo requests, 50% were lost, over the limit of 40%";
    ensure!(said.starts_with("FAIL") && said.contains(words), "{said}");
    ensure!(said.contains("12 sent, 6 answered, 50% lost; round trip "), "{said}");
    net.router.sysctl("net.ipv4.icmp_ratelimit", "0")?;
    let said = check(&net.here, &site, "1", true).await?;
    let words = "198.18.77.2 answered 1 of 12 echo requests, enough where 99% may be lost";
    ensure!(said.starts_with("PASS") && said.contains(words), "{said}");
    Ok(())
}
