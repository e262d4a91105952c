use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{apply, merge, table};

fn files(config: &Value, name: &str, import: &str) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, file) = (folder.path().join("site.conf"), folder.path().join(name));
    fs::write(&path, config.to_string()).expect("written");
    fs::write(&file, import).expect("written");
    (folder, path, file)
}

fn merged(config: &Value, import: &Value) -> (Value, Vec<String>) {
    let mut site = config.as_object().expect("an object").clone();
    let notes = apply::apply(import.as_object().expect("an object"), &mut site);
    (site.into(), notes)
}

/// The tables and sites here were merged by the original 1.1.6 as well; `wanted` is what it wrote, but for what is said
/// beside it.
#[test]
fn json_is_merged_as_by_the_original() {
    let config = json!({
        "timezone": "UTC",
        "webui": { "port": 1, "users": { "admin": "old", "ann": "old" } },
        "actions": { "mail": { "type": "email", "options": { "hostname": "a", "port": 25 } } },
        "checks": {
            "seq": { "type": "sequence" },
            "disk": { "type": "disk", "threshold": 3, "options": { "level": 50, "volume": "/" },
                      "data": { "failState": true } },
        },
    });
    let import = json!({
        "base": "/elsewhere", "log": ["x"], "timezone": null,
        "webui": { "port": 2, "users": { "admin": "new", "ann": "new", "bob": "new" } },
        "mqtt": { "hostname": "h" },
        "actions": { "mail": { "options": { "port": 465 } }, "log": { "type": "log" } },
        "checks": {
            "disk": { "type": "disk", "options": { "level": 60 }, "data": { "failState": false },
                      "inseq": ["seq", "disk", "gone", ""] },
            "new": { "type": "memory", "inseq": ["seq"] },
        },
    });
    let wanted = json!({
        "timezone": null,
        "webui": { "port": 2, "users": { "admin": "old", "ann": "new", "bob": "new" } },
        "actions": { "mail": { "type": "email", "options": { "hostname": "a", "port": 465 } },
                     "log": { "type": "log" } },
        "checks": {
            "seq": { "type": "sequence", "options": { "checks": ["disk", "new"] } },
            "disk": { "type": "disk", "threshold": 3, "options": { "level": 60 },
                      "data": { "failState": true } },
            "new": { "type": "memory" },
        },
        "mqtt": { "hostname": "h" },
    });
    let (site, notes) = merged(&config, &import);
    assert_eq!(site, wanted);
    insta::assert_snapshot!(notes.join("\n"), @r#"
    user `admin` keeps the password it has
    `disk` is no sequence, so nothing was added to it
    there is no sequence `gone` to add checks to
    "#);
    let again = merged(&site, &import).0;
    assert_eq!(again, wanted, "twice is as good as once");
}

#[test]
fn a_table_is_read_as_by_the_original() {
    let text = "\
name, checkType ,trigger,paused,threshold,failAction,publish,depends,actions,inseq,checks,hostname,port,tls,level,reqTcp
Web Site,https,interval 5 min,no,2,t,home/web,\"a, b,\",log,seq,,example.org,443,yes,,
a,disk,10,1,,f,,,,\"seq,other\",,,,,75,
b,dns,cron 9-17 hr mon-fri weekday,0,,null,,,,,,127.0.0.1,53,,,12
seq,sequence,,,,,,,,,\"a, b\",,,,,
,disk,,,,,,,,,,,,,,
nothing,,,,,,,,,,,,,,,
odd,dsik,,,,,,,,,,,,,,
,,,,,,,,,,,,,,,
";
    let (import, notes) = table::read(text).expect("read");
    assert_eq!(
        import["checks"].clone(),
        json!({
            "Web Site": { "type": "https", "trigger": { "interval": { "minutes": 5 } },
                "paused": false, "threshold": 2, "failAction": true, "publish": "home/web",
                "depends": ["a", "b"], "actions": ["log"], "inseq": ["seq"],
                "options": { "hostname": "example.org", "port": 443, "tls": true } },
            "a": { "type": "disk", "trigger": { "interval": { "minutes": 10 } }, "paused": true,
                "failAction": false, "inseq": ["seq", "other"], "options": { "level": 75 } },
            "b": { "type": "dns", "trigger": { "cron": { "hour": "9-17", "day_of_week": "mon-fri" } },
                "paused": false, "failAction": false,
                "options": { "hostname": "127.0.0.1", "port": 53, "reqTcp": true } },
            "seq": { "type": "sequence", "options": { "checks": ["a", "b"] } },
        })
    );
    insta::assert_snapshot!(notes.join("\n"), @r#"
    line 6 has no name and is left out
    line 7 has no checkType and is left out
    line 8: there is no type `dsik`, did you mean `disk`?; `odd` is left out
    "#);
}

#[test]
fn what_ends_the_original_is_read_or_told() {
    let text = "\
name,checkType,timezone,colour,levle
a,disk,australia/adelaide,red,5,one,two
";
    let (import, notes) = table::read(text).expect("read");
    let options = json!({ "timezone": "Australia/Adelaide", "colour": "red", "levle": "5" });
    assert_eq!(import["checks"]["a"]["options"], options);
    insta::assert_snapshot!(notes.join("\n"), @r#"
    line 1: unknown column `colour` becomes an option as it is
    line 1: unknown column `levle`, did you mean `level`? It becomes an option as it is
    line 2: 2 more than there are columns, left out
    "#);

    let text = "\
name,checkType,timezone,trigger,port,tls
a,disk,Mars,0 min,many,maybe
b,disk,,5 fortnights,1.5,
";
    insta::assert_snapshot!(table::read(text).expect_err("wrong").join("\n"), @r#"
    line 2, timezone `Mars`: unknown time zone `Mars`, did you mean `Europe/Paris`?
    line 2, trigger `0 min`: the interval is zero, write for example `5 min` (the shortest is `1 sec`)
    line 2, port `many`: write a whole number
    line 2, tls `maybe`: write yes or no
    line 3, trigger `5 fortnights`: unknown unit `fortnights`, use week, day, hr, min, sec, start, end, z, jitter
    line 3, port `1.5`: write a whole number
    "#);
    for (text, want) in [
        ("", "the file is empty"),
        ("name,type\na,disk\n", "line 1: there is no column `checkType`"),
    ] {
        assert_eq!(table::read(text).expect_err("wrong"), [want]);
    }
}

#[test]
fn files_are_merged_whole_or_not_at_all() {
    let config =
        json!({ "checks": { "seq": { "type": "sequence", "options": { "checks": [] } } } });
    let table = "\u{feff}name,checkType,inseq\r\nroot,disk,seq\r\n";
    let (_folder, path, file) = files(&config, "new.CSV", table);
    merge(&path, &file).expect("merged");
    let site: Value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    assert_eq!(site["checks"]["seq"]["options"]["checks"], json!(["root"]));
    assert_eq!(site["checks"]["root"], json!({ "type": "disk", "options": {} }));

    let before = fs::read(&path).expect("there");
    for (name, import) in [
        ("a.csv", "name,checkType,port\na,disk,x\n"),
        ("b.json", "[]"),
        ("c.json", "{"),
        ("d.json", "\u{feff}"),
    ] {
        let file = file.with_file_name(name);
        fs::write(&file, import).expect("written");
        merge(&path, &file).expect_err(name);
        assert_eq!(fs::read(&path).expect("there"), before, "{name}");
    }
    merge(&path, &path).expect_err("the same file");
    merge(&path, &path.with_file_name("nowhere")).expect_err("no file");
}

#[test]
fn a_table_with_another_separator_says_what_to_put() {
    let told = |text: &str| table::read(text).expect_err("no table").join("\n");
    let semicolons = told("name;checkType\nroot;disk\n");
    assert_eq!(
        semicolons,
        "line 1: there is no column `name`; put `,` between the columns, not `;`"
    );
    assert!(told("name\tcheckType\n").ends_with("not tabs"));
    assert_eq!(told("checkType\n"), "line 1: there is no column `name`");
}
