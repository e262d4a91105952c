mod saving;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use fletchck_shared::config::{Fault, Severity};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Built, BuiltAgent, Cause, Format, Loaded, Watch, edit, gather::Gathered, load, load_with,
    replace,
};

const ORIGINAL: &str = include_str!("../../../shared/samples/site-saved-by-original.json");

fn site(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("in the folder")).expect("made");
        fs::write(file, text).expect("written");
    }
    folder
}

fn load_set(folder: &TempDir, name: &str, variables: &[(&str, &str)]) -> Loaded {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    load_with(&folder.path().join(name), variables, &Built).expect("a configuration")
}

/// The faults, one a line, without the name of the folder.
fn told(folder: &TempDir, faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n").replace(&format!("{}/", folder.path().display()), "")
}

fn keys(value: &Value, path: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            all.push(format!("{path}/{key}"));
            keys(value, &format!("{path}/{key}"), all);
        }),
        Value::Array(list) => list.iter().for_each(|value| keys(value, &format!("{path}[]"), all)),
        other => all.push(format!("{path}={other}")),
    }
}

#[test]
fn the_originals_site_loads_and_saves_without_losing_a_key() {
    let folder = site(&[("fletchck.conf", ORIGINAL)]);
    let path = folder.path().join("fletchck.conf");
    let loaded = load(&path).expect("a configuration");
    assert_eq!(loaded.format, Format::Json);
    for fault in loaded.faults.iter().filter(|fault| fault.severity == Severity::Error) {
        assert!(fault.wrong.contains("does not run"), "{fault}");
    }
    assert!(loaded.site.checks.contains_key("Дверь ☃ \"q\""));
    assert!(!edit(&path, |_| {}).expect("read"), "nothing to save");
    edit(&path, |map| _ = map.insert("new".into(), json!(1))).expect("saved");

    let text = fs::read_to_string(&path).expect("saved");
    assert!(text.starts_with("{\n \"base\""), "the indentation stays");
    let mut saved: Value = serde_json::from_str(&text).expect("JSON");
    saved.as_object_mut().expect("an object").shift_remove("new");
    let (mut before, mut after) = (Vec::new(), Vec::new());
    keys(&serde_json::from_str(ORIGINAL).expect("JSON"), "", &mut before);
    keys(&saved, "", &mut after);
    assert_eq!(before, after);
    assert_eq!(fs::read_to_string(path.with_extension("conf.bak")).expect("kept"), ORIGINAL);
}

#[test]
fn fragments_are_laid_over_the_file_in_the_order_of_their_names() {
    let folder = site(&[
        (
            "site.json",
            r#"{"timezone": "UTC", "checks": {"Web.Site A": {"type": "disk", "threshold": 1}}}"#,
        ),
        (
            "conf.d/20-b.json",
            r#"{"timezone": "Europe/Paris", "checks": {"Web.Site A": {"threshold": 3}}}"#,
        ),
        (
            "conf.d/10-a.toml",
            "timezone = 'Europe/Berlin'\n[checks.\"Web.Site A\"]\nretries = 2\n[checks.b]\ntype = 'dsik'",
        ),
        ("conf.d/30-broken.json", "{"),
        ("conf.d/.hidden.json", "{"),
        ("conf.d/readme.txt", "not a fragment"),
    ]);
    let loaded = load_set(&folder, "site.json", &[]);
    assert_eq!(loaded.site.timezone, Some("Europe/Paris".parse().expect("a zone")));
    let check = &loaded.site.checks["Web.Site A"];
    assert_eq!((check.threshold.get(), check.retries.get()), (3, 2));
    assert_eq!(loaded.document["timezone"], "UTC", "the document is the file alone");
    insta::assert_snapshot!(told(&folder, &loaded.faults), @r#"
    error: conf.d/30-broken.json: the file: this is not JSON: EOF while parsing an object at line 1 column 1; mend it, or take it out of conf.d
    error: conf.d/10-a.toml:5: checks.b.type: there is no type of check `dsik`; did you mean `disk`?
    "#);
}

#[test]
fn variables_find_keys_whatever_their_case_and_keep_what_they_are() {
    let folder = site(&[(
        "site.json",
        r#"{"mqtt": {"port": 1883, "username": "u"}, "agent": {"id": "x"},
            "actions": {"Mail.Me": {"type": "log"}},
            "checks": {"Web.Site A": {"type": "disk", "failAction": true},
                       "web": {"type": "disk"}, "WEB": {"type": "disk"}}}"#,
    )]);
    let variables = [
        ("FLETCHCK__MQTT__PASSWORD", "12345"),
        ("FLETCHCK__MQTT__PORT", "8883"),
        ("FLETCHCK__MQTT__TLS", "true"),
        ("FLETCHCK__AGENT__LABELS__ROOM", "7"),
        ("FLETCHCK__CHECKS__WEB_SITE_A__FAILACTION", "false"),
        ("FLETCHCK__CHECKS__WEB_SITE_A__OPTIONS__LEVEL", "50"),
        ("FLETCHCK__LIMITS__PROBES", "many"),
        ("FLETCHCK__MQT__PASSWORD", "x"),
        ("FLETCHCK__CHECKS__WEB__PAUSED", "true"),
        ("FLETCHCK__CHECKS__GONE__PAUSED", "true"),
        ("FLETCHCK_LOG", "debug"),
        ("PATH", "/bin"),
    ];
    let loaded = load_set(&folder, "site.json", &variables);
    let mqtt = loaded.site.mqtt.as_ref().expect("a link");
    assert_eq!(mqtt.password.as_ref().map(|password| password.reveal()), Some("12345"));
    assert_eq!((mqtt.port, mqtt.tls), (8883, true));
    assert_eq!(loaded.site.agent.labels["room"], "7");
    let check = &loaded.site.checks["Web.Site A"];
    assert!(!check.policy.fail_action);
    assert_eq!(check.options["level"], json!(50));
    assert!(!loaded.document["mqtt"].as_object().expect("kept").contains_key("password"));
    insta::assert_snapshot!(told(&folder, &loaded.faults), @r#"
    warning: the environment: FLETCHCK__CHECKS__GONE__PAUSED: this variable stands for no key; there is no `gone`; unset it, or mend its name
    warning: the environment: FLETCHCK__CHECKS__WEB__PAUSED: this variable stands for no key; it may mean any of WEB, web
    warning: the environment: FLETCHCK__MQT__PASSWORD: this variable stands for no key; did you mean `MQTT`?
    error: the variable FLETCHCK__LIMITS__PROBES: limits.probes: `many` is a text; a whole number from 1 to 100000
    "#);
}

#[test]
fn secrets_are_read_from_files_beside_the_configuration() {
    let folder = site(&[
        (
            "site.json",
            r#"{"mqtt": {"username": "u", "password": "old", "password_file": "secret"}}"#,
        ),
        ("lost.json", r#"{"mqtt": {"username": "u", "password_file": "nowhere"}}"#),
        ("secret", "hunter2\n"),
    ]);
    let secret = folder.path().join("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).expect("set");
    let password = |loaded: &Loaded| {
        let mqtt = loaded.site.mqtt.as_ref();
        mqtt.and_then(|mqtt| mqtt.password.as_ref()).map(|p| p.reveal().to_owned())
    };
    let loaded = load_set(&folder, "site.json", &[]);
    assert_eq!(password(&loaded).as_deref(), Some("hunter2"));
    assert!(loaded.sources.contains(&secret));
    assert!(!format!("{:?}", loaded.site).contains("hunter2"));
    insta::assert_snapshot!(told(&folder, &loaded.faults), @r#"
    warning: site.json:1: mqtt.password_file: `password` is given as well, and the file counts; keep one of them
    warning: site.json:1: mqtt.password_file: everyone on this machine can read secret; `chmod 600 secret`
    "#);

    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("set");
    let set = load_set(&folder, "site.json", &[("FLETCHCK__MQTT__PASSWORD", "new")]);
    assert_eq!(password(&set).as_deref(), Some("new"));
    assert_eq!(told(&folder, &set.faults), "");

    let lost = load_set(&folder, "lost.json", &[]);
    assert!(lost.site.mqtt.is_none(), "without its password it would only be turned away");
    insta::assert_snapshot!(told(&folder, &lost.faults), @"error: lost.json:1: mqtt.password_file: cannot use nowhere: No such file or directory (os error 2); a file with the secret in it");
}

#[test]
fn what_is_no_configuration_is_told_and_never_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = String::new();
    for (name, content) in [
        ("empty.conf", &b" \n"[..]),
        ("list.conf", b"[1, 2]"),
        ("null.json", b"null"),
        ("text.conf", b"\"{}\""),
        ("half.conf", b"{\"checks\": {"),
        ("words.conf", b"hello world"),
        ("latin.conf", b"{\n\"timezone\": \"K\xf6ln\"}"),
        ("bad.toml", b"a = \n"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("written");
        let error = load(&path).expect_err("no configuration");
        seen += &format!("{:#}\n", anyhow::Error::from(error));
        edit(&path, |map| _ = map.insert("a".into(), json!(1))).expect_err("refused");
        assert_eq!(fs::read(&path).expect("still there"), content, "{name}");
    }
    let error = load(&folder.path().join("nowhere")).expect_err("not there");
    seen += &format!("{:#}\n", anyhow::Error::from(error));
    let seen = seen.replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(seen, @r#"
    empty.conf is empty; restore it, or remove it and make a new site with `fletchck init`
    list.conf: this is a list, and a configuration is an object, `{…}`
    null.json: this is null, and a configuration is an object, `{…}`
    text.conf: this is a text, and a configuration is an object, `{…}`
    half.conf: this is not JSON: EOF while parsing an object at line 1 column 12
    words.conf: this is not TOML: TOML parse error at line 1, column 7: key with no value, expected `=`
    latin.conf, line 2: this is not UTF-8 text; save the file as UTF-8
    bad.toml: this is not TOML: TOML parse error at line 1, column 5: string values must be quoted, expected literal string
    cannot read nowhere: No such file or directory (os error 2)
    "#);
}

#[test]
fn a_byte_order_mark_and_every_extension_are_read() {
    let folder = site(&[
        ("a.conf", "\u{feff}{\"timezone\": \"UTC\"}"),
        ("b.conf", "timezone = 'UTC'\n"),
        ("c.conf", "[checks.\"a b\"]\ntype = 'memory'\n"),
        ("d.toml", "# nothing\n"),
    ]);
    for (name, format) in [
        ("a.conf", Format::Json),
        ("b.conf", Format::Toml),
        ("c.conf", Format::Toml),
        ("d.toml", Format::Toml),
    ] {
        let loaded = load_set(&folder, name, &[]);
        assert_eq!(
            (loaded.format, told(&folder, &loaded.faults)),
            (format, String::new()),
            "{name}"
        );
    }
}

#[test]
fn paths_begin_at_the_configurations_folder() {
    let folder = site(&[(
        "site.json",
        r#"{"webui": {"cert": "c.pem", "key": "/k.pem"}, "mqtt": {"tls": true, "cafile": "ca.pem"},
            "heartbeat": {"url": "https://other.example/", "cafile": "his.pem"},
            "broker": {"listeners": [{"listen": "[::]:0", "tls": true, "cert": "x", "key": "y"}]}}"#,
    )]);
    let site = load_set(&folder, "site.json", &[]).site;
    let web = site.webui.expect("pages");
    assert_eq!(web.cert, Some(folder.path().join("c.pem")));
    assert_eq!(web.key.as_deref(), Some(Path::new("/k.pem")));
    assert_eq!(site.mqtt.expect("a link").ca_file, Some(folder.path().join("ca.pem")));
    let heartbeat = site.heartbeat.expect("a heartbeat");
    assert_eq!(heartbeat.ca_file, Some(folder.path().join("his.pem")));
    let listener = &site.broker.expect("a broker").listeners[0];
    assert_eq!(listener.key, Some(folder.path().join("y")));
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_told_and_keep_nothing_from_running() {
    let folder = site(&[
        (
            "site.json",
            r#"{
                "webui": {"port": 1},
                "broker": {"listeners": [
                    {"listen": "[::]:0", "tls": true, "cert": "text", "key": "text"},
                    {"listen": "[::]:0"}]}}"#,
        ),
        (
            "link.json",
            r#"{"mqtt": {"tls": true, "cafile": "missing"}, "webui": {"cert": "a", "key": "b"}}"#,
        ),
        ("text", "no certificate"),
    ]);
    let told_of = |name| {
        let loaded = load_set(&folder, name, &[]);
        assert_eq!(loaded.faults, []);
        assert!(!loaded.sound());
        told(&folder, &loaded.unusable)
    };
    insta::assert_snapshot!(told_of("site.json"), @"
    error: site.json:2: webui.cert: there is no certificate, so browsers will warn of the pages; `cert` and `key` with the paths of PEM files that can be read, as `fletchck init` makes them
    error: site.json:4: broker.listeners[0].cert: text has no certificate in PEM form; `cert` and `key` with the paths of PEM files that can be read, as `fletchck init` makes them
    ");
    insta::assert_snapshot!(told_of("link.json"), @"
    error: link.json:1: webui.cert: cannot read a: No such file or directory (os error 2); `cert` and `key` with the paths of PEM files that can be read, as `fletchck init` makes them
    error: link.json:1: mqtt.cafile: cannot read missing: No such file or directory (os error 2); a PEM file with the certificate of the broker's authority
    ");
}

#[tokio::test]
async fn every_way_of_changing_the_configuration_is_noticed() {
    let folder = site(&[("site.json", "{}"), ("other/target.json", "{}")]);
    let path = folder.path().join("site.json");
    let mut watch = Watch::new(&path).expect("watched");
    let cause = async |watch: &mut Watch| {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, watch.changed()).await.expect("noticed")
    };
    // What is written but not different is not told, so the next cause is another one's.
    fs::write(&path, "{}").expect("written");
    fs::write(folder.path().join("state.db"), "x").expect("written");
    fs::write(&path, "{\"a\": 1}").expect("written in place");
    assert_eq!(cause(&mut watch).await, Cause::File);
    replace(&path, b"{\"a\": 2}").expect("replaced");
    assert_eq!(cause(&mut watch).await, Cause::File);
    fs::create_dir(folder.path().join("conf.d")).expect("made");
    fs::write(folder.path().join("conf.d/a.json"), "{}").expect("written");
    assert_eq!(cause(&mut watch).await, Cause::File);
    fs::write(folder.path().join("conf.d/a.json"), "{\"b\": 1}").expect("written");
    assert_eq!(cause(&mut watch).await, Cause::File);
    fs::remove_file(folder.path().join("conf.d/a.json")).expect("gone");
    assert_eq!(cause(&mut watch).await, Cause::File);
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::HUP).expect("sent");
    assert_eq!(cause(&mut watch).await, Cause::Signal);

    let link = folder.path().join("link.json");
    symlink("other/target.json", &link).expect("linked");
    let mut watch = Watch::new(&link).expect("watched");
    fs::write(folder.path().join("other/target.json"), "{\"c\": 1}").expect("written");
    assert_eq!(cause(&mut watch).await, Cause::File);
}

#[test]
fn a_fault_of_a_value_from_elsewhere_names_where_it_came_from() {
    let folder = site(&[
        ("site.json", r#"{"checks": {"a": {"type": "disk"}}}"#),
        ("conf.d/x.json", r#"{"checks": {"a": {"retries": 0}, "b": {"type": "dsik"}}}"#),
    ]);
    let loaded = load_set(&folder, "site.json", &[("FLETCHCK__CHECKS__A__THRESHOLD", "0")]);
    insta::assert_snapshot!(told(&folder, &loaded.faults), @r#"
    error: the variable FLETCHCK__CHECKS__A__THRESHOLD: checks.a.threshold: 0 is under 1; a whole number from 1 to 1000000
    error: conf.d/x.json:1: checks.a.retries: 0 is under 1; a whole number from 1 to 1000000
    error: conf.d/x.json:1: checks.b.type: there is no type of check `dsik`; did you mean `disk`?
    "#);
    assert!(loaded.faults.iter().all(|fault| fault.severity == Severity::Error));
    assert!(!loaded.sound());
}

#[test]
fn the_examples_have_no_faults() {
    for (name, text) in [
        ("standalone.json", include_str!("../../../deploy/examples/standalone.json")),
        ("agent.json", include_str!("../../../deploy/examples/agent.json")),
        ("hub.json", include_str!("../../../deploy/examples/hub.json")),
    ] {
        let folder = site(&[(name, text), ("hub-password", "from add-agent\n")]);
        let secret = folder.path().join("hub-password");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("set");
        let loaded = load_set(&folder, name, &[]);
        assert_eq!(told(&folder, &loaded.faults), "", "{name}");
        assert!(!loaded.site.checks.is_empty());
    }
}

#[test]
fn a_key_that_stands_twice_is_told() {
    let text = "{\"checks\": {\n\"a\": {\"type\": \"disk\"},\n\"a\": {\"type\": \"memory\"}\n}}";
    let folder = site(&[("site.json", text)]);
    let loaded = load_set(&folder, "site.json", &[]);
    insta::assert_snapshot!(told(&folder, &loaded.faults), @"warning: site.json:3: checks.a: this key stands here twice, and the last counts; keep one of them");
}

#[test]
fn only_faults_that_were_not_there_before_stand_in_the_way_of_a_reload() {
    let folder = site(&[
        ("a.json", r#"{"checks": {"mail": {"type": "smtp"}, "root": {"type": "disk"}}}"#),
        (
            "b.json",
            "{\n\"checks\": {\n\"root\": {\"type\": \"disk\"}, \"mail\": {\"type\": \"smtp\"}}}",
        ),
        ("c.json", r#"{"checks": {"mail": {"type": "smtp"}, "root": {"type": "dsik"}}}"#),
    ]);
    let running = load_set(&folder, "a.json", &[]);
    let broken = |name: &str| {
        let loaded = load_set(&folder, name, &[]);
        loaded.breaks(&running.faults).map(|fault| fault.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(broken("b.json"), Vec::<String>::new());
    assert_eq!(broken("c.json"), ["checks.root.type"]);
}

#[test]
fn a_site_raises_no_alarm_over_pages_that_the_command_line_moved_or_turned_off() {
    let page = |port: u16| {
        format!(r#"{{"type": "https", "options": {{"hostname": "localhost", "port": {port}}}}}"#)
    };
    let text = format!(
        r#"{{"webui": {{"port": 8443}}, "checks": {{"page": {}, "other": {}}}}}"#,
        page(8443),
        page(9000)
    );
    let folder = site(&[("site.json", &text)]);
    let follow = |change: fn(&mut Loaded)| {
        let mut loaded = load_set(&folder, "site.json", &[]);
        change(&mut loaded);
        loaded.follow_pages();
        let check = |name: &str| {
            let check = &loaded.site.checks[name];
            (check.options["port"].clone(), check.paused)
        };
        (check("page"), check("other"))
    };
    let other = (json!(9000), false);
    assert_eq!(follow(|_| {}), ((json!(8443), false), other.clone()));
    let moved = follow(|loaded| loaded.site.webui.as_mut().expect("pages").port = 8444);
    assert_eq!(moved, ((json!(8444), false), other.clone()));
    assert_eq!(follow(|loaded| loaded.site.webui = None), ((json!(8443), true), other));
}

#[test]
fn a_push_check_that_nothing_can_hear_of_is_a_fault_that_names_what_to_do() {
    let check = r#"{"job": {"type": "push", "options": {"token": "0123456789abcdef", "period": 60}},
        "all": {"type": "sequence", "options": {"checks": ["job", "root"]}}, "root": {"type": "disk"}}"#;
    let bare = format!("{{\n\"checks\": {check}}}");
    let page = format!("{{\n\"webui\": {{}}, \"checks\": {check}}}");
    let folder = site(&[("bare.json", &bare), ("page.json", &page)]);
    let loaded = load_set(&folder, "bare.json", &[]);
    insta::assert_snapshot!(told(&folder, &loaded.faults), @r#"
    error: bare.json:2: checks.job.type: nothing here can hear of the job: this site has no pages and no broker; a `webui`, `mqtt` or `broker` section; or this check at the hub
    warning: bare.json:3: checks.all.options.checks[0]: check `job` does not run, so the sequence runs without it; mend the check `job`
    "#);
    assert!(!loaded.site.checks.contains_key("job") && loaded.site.checks.contains_key("all"));
    assert!(loaded.site.left_out.contains("job"), "what is stored of it is kept");
    assert_eq!(load_set(&folder, "page.json", &[]).faults, []);
    let path = folder.path().join("page.json");
    let agent = load_with(&path, [], &BuiltAgent).expect("a configuration");
    assert!(agent.faults[0].wrong.contains("`fletchck-agent` cannot hear"), "{:?}", agent.faults);
}

#[test]
fn paths_among_options_begin_at_the_folder_of_the_configuration() {
    let folder = site(&[(
        "site.json",
        r#"{"checks": {"page": {"type": "https", "options": {"hostname": "a.example",
            "cafile": "tls/ca.pem", "clientCert": "/etc/me.pem", "clientKey": "me.key"}},
            "mail": {"type": "smtp", "options": {"hostname": "a.example", "cafile": ""}}}}"#,
    )]);
    let loaded = load_set(&folder, "site.json", &[]);
    assert_eq!(loaded.faults, []);
    let options = &loaded.site.checks["page"].options;
    let here = |name: &str| json!(folder.path().join(name));
    assert_eq!(options["cafile"], here("tls/ca.pem"));
    assert_eq!(
        (&options["clientCert"], &options["clientKey"]),
        (&json!("/etc/me.pem"), &here("me.key"))
    );
    assert_eq!(loaded.site.checks["mail"].options["cafile"], "");
    assert_eq!(loaded.document["checks"]["page"]["options"]["cafile"], "tls/ca.pem");
}

#[test]
fn a_variable_may_name_the_file_of_a_secret() {
    let folder = site(&[
        (
            "site.json",
            r#"{"checks": {"mail": {"type": "smtp", "options": {"hostname": "a.example", "username": "u"}}}}"#,
        ),
        ("secret", "hush\n"),
    ]);
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(folder.path().join("secret"), private).expect("set");
    let variable = ("FLETCHCK__CHECKS__MAIL__OPTIONS__PASSWORD_FILE", "secret");
    let loaded = load_set(&folder, "site.json", &[variable]);
    assert_eq!(told(&folder, &loaded.faults), "");
    assert_eq!(loaded.site.checks["mail"].options["password"], "hush");
}

#[test]
fn what_a_request_sends_may_lie_in_files() {
    let options = r#"{"hostname": "a.example", "reqBody_file": "body",
        "headers": {"Accept": "text/html", "X-Api-Key_file": "key"}}"#;
    let text = format!(r#"{{"checks": {{"api": {{"type": "https", "options": {options}}}}}}}"#);
    let folder = site(&[("site.json", &text), ("body", "a=1\n"), ("key", "hush\n")]);
    for file in ["body", "key"] {
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.path().join(file), private).expect("set");
    }
    let loaded = load_set(&folder, "site.json", &[]);
    assert_eq!(told(&folder, &loaded.faults), "");
    let options = &loaded.site.checks["api"].options;
    assert_eq!(options["reqBody"], "a=1");
    assert_eq!(options["headers"]["X-Api-Key"], "hush");
    assert!(loaded.sources.contains(&folder.path().join("key")), "it is watched");

    fs::remove_file(folder.path().join("key")).expect("removed");
    let lost = load_set(&folder, "site.json", &[]);
    insta::assert_snapshot!(told(&folder, &lost.faults), @"error: site.json:2: checks.api.options.headers.X-Api-Key_file: cannot use key: No such file or directory (os error 2); a file with the text in it");
}

#[test]
fn the_whole_has_what_variables_say_but_none_of_their_secrets() {
    let folder = site(&[("site.json", r#"{"mqtt": {"password": "kept"}, "checks": {}}"#)]);
    let path = folder.path().join("site.json");
    let set = [
        ("FLETCHCK__TIMEZONE", "Europe/Paris"),
        ("FLETCHCK__MQTT__PASSWORD", "hush"),
        ("FLETCHCK__MQTT__PORT", "8883"),
        (
            "FLETCHCK__CHECKS",
            r#"{"api": {"type": "https", "options": {"token": "hush", "hostname": "a.example"}}}"#,
        ),
    ];
    let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let gathered = Gathered::read(&path, set, &Built).expect("gathered");
    let (whole, secrets) = gathered.whole().expect("a document");
    assert_eq!(secrets, ["checks.api.options.token", "mqtt.password"]);
    let want = json!({"mqtt": {"password": "kept", "port": 8883}, "timezone": "Europe/Paris",
        "checks": {"api": {"type": "https", "options": {"hostname": "a.example"}}}});
    assert_eq!(Value::Object(whole), want);
}
