//! The check of name servers against NSD and unbound, beside the original, and with servers that reply badly.

mod bad;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::look;
use fletchck_tests::nsd::Nsd;
use fletchck_tests::unbound::Unbound;
use serde_json::{Value, json};

/// What is seen of a question to a server on this port of 127.0.0.1.
async fn ask(port: u16, name: &str, kind: &str, more: Value) -> Result<Outcome> {
    let mut options =
        json!({"hostname": "127.0.0.1", "port": port, "reqName": name, "reqType": kind});
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    let outcome = look::ours("dns", &options).await?;
    println!("{}", outcome.text);
    Ok(outcome)
}

async fn passes(port: u16, name: &str, kind: &str, more: Value, end: &str) -> Result<Outcome> {
    let seen = ask(port, name, kind, more).await?;
    ensure!(seen.verdict == Verdict::Pass && seen.text.ends_with(end), "{name} {kind}: {seen:?}");
    Ok(seen)
}

async fn fails(port: u16, name: &str, kind: &str, more: Value, words: &str) -> Result<Outcome> {
    let seen = ask(port, name, kind, more).await?;
    ensure!(seen.verdict == Verdict::Fail && seen.text.contains(words), "{name} {kind}: {seen:?}");
    Ok(seen)
}

fn steps(seen: &Outcome) -> Vec<&str> {
    seen.phases.iter().map(|phase| phase.name.as_str()).collect()
}

#[tokio::test]
async fn records_are_asked_for_and_compared() -> Result<()> {
    let nsd = Nsd::start().await?;
    let port = nsd.port;
    for (name, kind, more, end) in [
        (
            "test.example",
            "soa",
            json!({}),
            "test.example SOA: serial 2024010101, ns.test.example. hostmaster.test.example. 2024010101 3600 600 86400 60",
        ),
        (
            "www.test.example.",
            "A",
            json!({"expect": ["192.0.2.11", "192.0.2.10"]}),
            ", as expected",
        ),
        (
            "WWW.test.example",
            "AAAA",
            json!({"expect": "2001:DB8:0::10"}),
            "AAAA: 2001:db8::10, as expected",
        ),
        (
            "test.example",
            "MX",
            json!({"expect": "20 mx2.test.example", "expectRule": "at-least"}),
            ", as expected",
        ),
        ("test.example", "TXT", json!({"expect": "v=spf1 -all"}), ", as expected"),
        (
            "text.test.example",
            "TXT",
            json!({"expect": "plainsecond partquo\"te \\ ä"}),
            ", as expected",
        ),
        ("test.example", "TXT", json!({"matches": "^v=spf1 .*all$"}), ", as expected"),
        (
            "many.test.example",
            "A",
            json!({"expect": ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], "expectRule": "at-most"}),
            ", as expected",
        ),
        (
            "chain.test.example",
            "A",
            json!({"expect": ["192.0.2.10", "192.0.2.11"]}),
            "A (an alias of www.test.example): 192.0.2.10, 192.0.2.11, as expected",
        ),
        (
            "192.0.2.10",
            "PTR",
            json!({"expect": "www.test.example"}),
            "192.0.2.10 PTR: www.test.example., as expected",
        ),
        ("2001:db8::10", "PTR", json!({}), "2001:db8::10 PTR: www.test.example."),
        ("0/25.test.example", "A", json!({}), ": 192.0.2.12"),
        ("any.wild.test.example", "A", json!({}), ": 192.0.2.99"),
        (
            "svc.test.example",
            "HTTPS",
            json!({"expect": "1 . ipv6hint=2001:db8::10 ipv4hint=192.0.2.10 alpn=h2,h3"}),
            ", as expected",
        ),
        (
            "odd.test.example",
            "TYPE65280",
            json!({"expect": "\\# 4 0A 00 00 01"}),
            "\\# 4 0a000001, as expected",
        ),
        (
            "none.test.example",
            "A",
            json!({"absent": true}),
            "there is no name none.test.example (NXDOMAIN), as expected",
        ),
    ] {
        for tcp in [false, true] {
            let mut more = more.clone();
            more["reqTcp"] = tcp.into();
            let seen = passes(port, name, kind, more, end).await?;
            let wanted: &[_] = if tcp { &["dns", "connect", "answer"] } else { &["dns", "answer"] };
            ensure!(steps(&seen) == wanted, "{seen:?}");
        }
    }
    let seen = fails(
        port,
        "www.test.example",
        "A",
        json!({"expect": "192.0.2.10"}),
        "; expected 192.0.2.10 and no other",
    )
    .await?;
    ensure!(seen.log[0] == "('www.test.example.', 'A', '192.0.2.10 192.0.2.11')", "{seen:?}");
    fails(port, "www.test.example", "A", json!({"absent": true}), "; expected no such record")
        .await?;
    Ok(())
}

#[tokio::test]
async fn what_is_not_answered_is_told_apart() -> Result<()> {
    let nsd = Nsd::start().await?;
    for (name, kind, words) in [
        ("none.test.example", "A", ": there is no name none.test.example (NXDOMAIN)"),
        ("www.test.example", "MX", ": www.test.example has no MX record"),
        ("192.0.2.11", "PTR", ": there is no name 192.0.2.11 (NXDOMAIN)"),
        ("www.broken.example", "A", ": it could not find out (SERVFAIL): the zone is not loaded, "),
        ("www.other.org", "A", ": it refuses to answer (REFUSED): it does not serve this zone, "),
        (
            "www.child.test.example",
            "A",
            ": it does not know www.child.test.example itself, and only says which servers might",
        ),
        (
            "away.test.example",
            "A",
            ": away.test.example is an alias of www.elsewhere.org, for which there is no A record in its answer",
        ),
        (
            "lost.test.example",
            "A",
            ": lost.test.example is an alias of nothing.test.example, and there is no such name (NXDOMAIN)",
        ),
    ] {
        for tcp in [false, true] {
            fails(nsd.port, name, kind, json!({"reqTcp": tcp}), words).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_long_answer_is_asked_for_again_over_tcp() -> Result<()> {
    let nsd = Nsd::start().await?;
    let wanted: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|letter| letter.repeat(250)).into();
    let more = json!({"expect": wanted});
    let seen = ask(nsd.port, "big.test.example", "TXT", more).await?;
    ensure!(seen.verdict == Verdict::Pass, "{seen:?}");
    ensure!(steps(&seen) == ["dns", "answer", "connect", "answer"], "{seen:?}");
    ensure!(seen.conversation.iter().any(|line| line.contains(" tc")), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn only_what_was_validated_is_authentic() -> Result<()> {
    let nsd = Nsd::start().await?;
    let unbound = Unbound::start(&nsd).await?;
    let port = unbound.port;
    let wants = json!({"dnssec": true, "expect": "192.0.2.10"});
    let authenticated = "A: 192.0.2.10, as expected, authenticated";
    passes(port, "www.signed.example", "A", wants.clone(), authenticated).await?;
    let over_tcp = json!({"dnssec": true, "reqTcp": true});
    passes(port, "www.signed.example", "A", over_tcp, ", authenticated").await?;
    let absent = json!({"dnssec": true, "absent": true});
    passes(port, "no.signed.example", "A", absent, "as expected, authenticated").await?;
    passes(port, "signed.example", "DNSKEY", json!({"dnssec": true}), ", authenticated").await?;
    // Signatures are not signed themselves.
    let unsigned = "is not authenticated (DNSSEC): the zone is not signed, or it does not validate";
    fails(port, "signed.example", "RRSIG", json!({"dnssec": true}), unsigned).await?;
    passes(port, "signed.example", "RRSIG", json!({"matches": "^SOA 13 2 60 20"}), ", as expected")
        .await?;

    fails(port, "www.test.example", "A", json!({"dnssec": true}), unsigned).await?;
    // It turns answers round from one question to the next.
    let both = json!({"expect": ["192.0.2.10", "192.0.2.11"]});
    passes(port, "www.test.example", "A", both, ", as expected").await?;
    let itself = "is not authenticated (DNSSEC): it serves the zone itself and never says so";
    fails(nsd.port, "www.signed.example", "A", json!({"dnssec": true}), itself).await?;

    // What was forged is not answered at all; why is told where the question leaves room for it.
    let forged = "it could not find out (SERVFAIL)";
    fails(port, "www.bogus.example", "A", json!({}), forged).await?;
    let reason = ": it could not find out (SERVFAIL), and says: signatures are wrong";
    fails(port, "www.bogus.example", "A", json!({"dnssec": true}), reason).await?;
    fails(nsd.port, "www.bogus.example", "A", json!({"expect": "192.0.2.10"}), "192.0.2.66")
        .await?;

    let silent = "did not answer within 0.3 s: nothing came back over UDP";
    fails(port, Unbound::SILENT, "A", json!({"timeout": 0.3}), silent).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_is_found_by_name_and_whatever_version_of_ip() -> Result<()> {
    let nsd = Nsd::start().await?;
    let of = |host: &str, more: Value| {
        let mut options = json!({"hostname": host, "port": nsd.port, "reqName": "test.example"});
        for (key, value) in more.as_object().into_iter().flatten() {
            options[key] = value.clone();
        }
        async move { look::ours("dns", &options).await }
    };
    // Where the name leads to an address of version 6 too, nobody listens there, and the other is asked.
    for (host, more) in [
        ("localhost", json!({})),
        ("localhost", json!({"ipVersion": "ipv4"})),
        ("localhost.", json!({"ipVersion": "prefer-ipv6", "reqTcp": true})),
        ("::ffff:127.0.0.1", json!({})),
    ] {
        let seen = of(host, more).await?;
        ensure!(seen.verdict == Verdict::Pass, "{host}: {seen:?}");
        ensure!(seen.text.contains("serial 2024010101"), "{host}: {seen:?}");
    }
    let seen = of("::1%1", json!({"timeout": 1})).await?;
    ensure!(seen.verdict == Verdict::Fail, "{seen:?}");
    ensure!(seen.conversation.iter().any(|line| line.contains("to [::1%1]:")), "{seen:?}");
    let seen = of("02:00:00:00:00:01", json!({"timeout": 0.2})).await?;
    ensure!(seen.verdict == Verdict::Fail, "{seen:?}");
    ensure!(seen.log[0].starts_with("02:00:00:00:00:01: "), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn the_conversation_can_be_seen() -> Result<()> {
    let nsd = Nsd::start().await?;
    let options = json!({"hostname": "127.0.0.1", "port": nsd.port, "reqName": "alias.test.example", "reqType": "AAAA"});
    let checks = json!({"checks": {"name": {"type": "dns", "options": options}}});
    let site = Fletchck::prepare(Program::Agent, &checks)?;
    let output = site.run(&["check", "name", "--explain"]).await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{told}");
    for line in [
        "> alias.test.example AAAA, id ",
        ", NOERROR, aa rd, ",
        "< alias.test.example. 60 IN CNAME www.test.example.",
        "< www.test.example. 60 IN AAAA 2001:db8::10",
    ] {
        ensure!(told.contains(line), "{line} is missing: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn verdicts_and_logs_of_dns_are_those_of_the_original() -> Result<()> {
    let nsd = Nsd::start().await?;
    let mut checks = serde_json::Map::new();
    for (name, kind) in [
        ("test.example", "soa"),
        ("test.example.", "NS"),
        ("www.test.example", "A"),
        ("WWW.Test.example", "AAAA"),
        ("test.example", "MX"),
        ("test.example", "TXT"),
        ("text.test.example", "TXT"),
        ("big.test.example", "TXT"),
        ("alias.test.example", "CNAME"),
        ("chain.test.example", "A"),
        ("under.dir.test.example", "A"),
        ("dir.test.example", "DNAME"),
        ("srv.test.example", "SRV"),
        ("caa.test.example", "CAA"),
        ("naptr.test.example", "NAPTR"),
        ("host.test.example", "HINFO"),
        ("rp.test.example", "RP"),
        ("afs.test.example", "AFSDB"),
        ("kx.test.example", "KX"),
        ("tlsa.test.example", "TLSA"),
        ("sshfp.test.example", "SSHFP"),
        ("child.test.example", "DS"),
        ("key.test.example", "CDNSKEY"),
        ("pgp.test.example", "OPENPGPKEY"),
        ("svc.test.example", "HTTPS"),
        ("svc.test.example", "SVCB"),
        ("uri.test.example", "URI"),
        ("0/25.test.example", "A"),
        ("192.0.2.10", "PTR"),
        ("2001:db8::10", "ptr"),
        ("signed.example", "DNSKEY"),
        ("none.test.example", "A"),
        ("www.test.example", "MX"),
        ("lost.test.example", "A"),
        ("away.test.example", "A"),
        ("www.child.test.example", "A"),
        ("www.broken.example", "A"),
        ("www.other.org", "A"),
    ] {
        for tcp in [false, true] {
            let options = json!({
                "hostname": "127.0.0.1", "port": nsd.port, "reqName": name, "reqType": kind, "reqTcp": tcp,
            });
            checks.insert(format!("{name} {kind} {tcp}"), json!(["dns", options]));
        }
    }
    checks.insert(
        "refused".into(),
        json!(["dns", {"hostname": "127.0.0.1", "port": 1, "timeout": 1}]),
    );
    let checks = Value::Object(checks);
    let mut passed = 0;
    for (name, theirs) in look::originals(&checks, Path::new("/dev/null"))? {
        let ours = look::ours("dns", &checks[&name][1]).await?;
        let told = format!("{name}: {ours:?}, the original {theirs}");
        ensure!((ours.verdict == Verdict::Pass) == (theirs[0] == true), "{told}");
        ensure!(json!(ours.level) == theirs[2] && json!(ours.soft_fail) == theirs[3], "{told}");
        if ours.verdict == Verdict::Pass {
            passed += 1;
            // A long line is cut.
            let (ours, theirs) = (&ours.log[0], theirs[1][0].as_str().context("a line")?);
            let same = match ours.strip_suffix('…') {
                Some(begins) => theirs.starts_with(begins),
                None => ours == theirs,
            };
            ensure!(same, "{told}");
        }
    }
    ensure!(passed == 62, "{passed} passed");
    Ok(())
}
