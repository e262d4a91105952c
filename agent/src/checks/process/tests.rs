//! Processes of this machine, started for the purpose under names of their own.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use fletchck_shared::{Severity, Verdict};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::checks::{
    Before,
    testing::{faults, look, probe},
};

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A folder with programs that are called as no other on this machine.
struct Programs(TempDir);

impl Programs {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// The path of this program of the system, under another name.
    fn named(&self, program: &str, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        if !path.exists() {
            symlink(program, &path).expect("a link");
        }
        path
    }

    fn sleeper(&self, name: &str) -> Running {
        start(Command::new(self.named("/bin/sleep", name)).arg("300"))
    }
}

fn start(command: &mut Command) -> Running {
    Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a process"))
}

/// A name that only this run of the tests has, as short as this.
fn unique(letters: &str) -> String {
    format!("{letters}{}", std::process::id())
}

async fn seen(options: Value) -> Outcome {
    look(&*probe("process", options)).await
}

/// What is made of these options.
fn check(options: Value) -> ProcessCheck {
    let options = options.as_object().expect("options");
    let read = |options: &mut Options<'_>| Some(ProcessCheck::read(options));
    Options::read(options, KIND.options, read).0.expect("a check")
}

/// What `stat` says of a process, once it says so.
async fn wait_for(pid: u32, state: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string(format!("/proc/{pid}/stat")).expect("a stat").contains(state) {
        assert!(Instant::now() < end, "process {pid} does not become {state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn processes_are_counted_by_their_name() {
    let (programs, name) = (Programs::new(), unique("cnt"));
    let none = seen(json!({ "name": name })).await;
    assert_eq!(none.verdict, Verdict::Fail);
    assert_eq!(none.text, format!("no process named `{name}` runs, expected at least 1"));
    assert_eq!(none.level.as_deref(), Some("0 processes"));

    let one = programs.sleeper(&name);
    let _other = programs.sleeper(&format!("{name}x"));
    let seen_one = seen(json!({ "name": name })).await;
    let pid = one.0.id();
    assert_eq!(seen_one.verdict, Verdict::Pass);
    let start = format!("1 process named `{name}` runs ({name} {pid}), for ");
    assert!(seen_one.text.starts_with(&start), "{seen_one:?}");
    assert_eq!(seen_one.level.as_deref(), Some("1 process"));
    assert!(seen_one.log[1].starts_with(&format!("{name} {pid}: ")), "{:?}", seen_one.log);

    let few = seen(json!({"name": name, "minCount": 2})).await;
    assert!(few.text.ends_with(&format!(" runs ({name} {pid}), expected at least 2")), "{few:?}");
    let more: Vec<_> = (0..3).map(|_| programs.sleeper(&name)).collect();
    let many = seen(json!({"name": name, "maxCount": 3})).await;
    let start = format!("4 processes named `{name}` run ({name} ");
    assert!(many.text.starts_with(&start), "{many:?}");
    assert!(many.text.ends_with(" and 1 more), expected at most 3"), "{many:?}");
    let enough = seen(json!({"name": name, "minCount": 4, "maxCount": 4})).await;
    assert!(enough.text.contains(", the oldest for "), "{enough:?}");
    let must_not = seen(json!({"name": name, "maxCount": 0})).await;
    assert!(must_not.text.ends_with("expected none"), "{must_not:?}");
    drop((one, more));
    let must_not = seen(json!({"name": name, "maxCount": 0})).await;
    assert_eq!(must_not.text, format!("no process named `{name}` runs, as is allowed"));
    assert_eq!(must_not.verdict, Verdict::Pass);
}

#[tokio::test]
async fn a_name_that_the_kernel_cuts_is_still_a_whole_one() {
    let programs = Programs::new();
    let [name, other] = ["first", "second"].map(|end| unique("long-long-name-of-") + end);
    let _running = [programs.sleeper(&name), programs.sleeper(&other)];
    let outcome = seen(json!({"name": name, "maxCount": 1})).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_command_line_is_searched_and_never_shown() {
    let mark = format!("300.{}", std::process::id());
    let mut sleep = Command::new("/bin/sleep");
    let running = start(sleep.arg0("sleep-with-hunter22").arg(&mark));
    let outcome = seen(json!({"pattern": format!("hunter\\d+ {mark}$")})).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    assert!(outcome.text.contains(&format!("(sleep {})", running.0.id())), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("hunter22"), "{outcome:?}");
    let both = seen(json!({"pattern": mark, "name": "cat"})).await;
    assert_eq!(both.verdict, Verdict::Fail, "{both:?}");
    // This program itself is not what is looked for.
    let own = std::env::args().next().expect("a program");
    let outcome = seen(json!({"pattern": regex::escape(&own), "minCount": 0, "maxCount": 0})).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_zombie_runs_no_longer_and_one_that_is_stopped_does() {
    let (programs, name) = (Programs::new(), unique("zmb"));
    let zombie = start(&mut Command::new(programs.named("/bin/true", &name)));
    wait_for(zombie.0.id(), ") Z ").await;
    let outcome = seen(json!({ "name": name })).await;
    assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
    let stopped = programs.sleeper(&unique("stp"));
    kill_process(Pid::from_child(&stopped.0), Signal::STOP).expect("stopped");
    wait_for(stopped.0.id(), ") T ").await;
    let outcome = seen(json!({ "name": unique("stp") })).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_user_is_known_by_name_and_number() {
    let (programs, name) = (Programs::new(), unique("usr"));
    let _running = programs.sleeper(&name);
    let own = rustix::process::geteuid().as_raw().to_string();
    let outcome = seen(json!({"name": name, "user": own})).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    let outcome = seen(json!({"name": name, "user": "nobody"})).await;
    assert_eq!(
        outcome.text,
        format!("no process named `{name}` of user `nobody` runs, expected at least 1")
    );
    let outcome = seen(json!({"user": "no-such-user", "minCount": 0})).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(outcome.text.starts_with("there is no user `no-such-user` in /etc/passwd;"));
    let root = seen(json!({"user": "root"})).await;
    assert_eq!(root.verdict, Verdict::Pass, "{root:?}");
}

#[tokio::test]
async fn a_file_that_names_a_process_may_be_stale() {
    let (programs, name) = (Programs::new(), unique("pid"));
    let file = programs.0.path().join("file.pid");
    let running = programs.sleeper(&name);
    let written = async |text: &str, more: Value| {
        fs::write(&file, text).expect("written");
        let mut options = json!({ "pidFile": file });
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        let outcome = seen(options).await;
        (outcome.verdict, outcome.text.replace(file.to_str().expect("a path"), "FILE"))
    };
    let pid = running.0.id().to_string();
    let (verdict, text) = written(&format!("{pid}\n"), json!({ "name": name })).await;
    assert_eq!(verdict, Verdict::Pass);
    let start = format!("1 process named `{name}` that FILE names runs ({name} {pid}), for ");
    assert!(text.starts_with(&start), "{text}");
    for (text, more, why) in [
        (&*pid, json!({"name": "other"}), format!("process {pid} is another one, `{name}`")),
        ("", json!({}), "there is no number of a process in it".into()),
        ("nginx", json!({}), "there is no number of a process in it".into()),
        ("4194305", json!({}), "it names process 4194305, which does not run".into()),
    ] {
        let (verdict, text) = written(text, more).await;
        assert_eq!(verdict, Verdict::Fail);
        assert!(text.ends_with(&format!(" that FILE names runs: {why}")), "{text}");
    }
    drop(running);
    let (_, text) = written(&pid, json!({})).await;
    assert!(text.ends_with(&format!("it names process {pid}, which does not run")), "{text}");
    let absent = seen(json!({"pidFile": "/no/such.pid"})).await;
    assert_eq!(absent.text, "no process that /no/such.pid names runs: there is no such file");
    // Threads are no processes: this one has many.
    let (verdict, text) = written(&std::process::id().to_string(), json!({"maxCount": 1})).await;
    assert_eq!(verdict, Verdict::Pass, "{text}");
}

#[tokio::test]
async fn the_oldest_has_an_age() {
    let (programs, name) = (Programs::new(), unique("age"));
    let _running = programs.sleeper(&name);
    let young = seen(json!({"name": name, "minAge": "1 h"})).await;
    assert!(young.text.ends_with(" s, expected at least 60 min: it was started anew"), "{young:?}");
    let ages = seen(json!({"name": name, "minAge": 0, "maxAge": "1 h"})).await;
    assert_eq!(ages.verdict, Verdict::Pass, "{ages:?}");

    let check = check(json!({"name": "job", "minAge": 60, "maxAge": "6 h"}));
    let tally = |hours: &[u64]| {
        let mut tally = Tally::default();
        for (pid, hours) in (10..).zip(hours) {
            let ticks = hours * 3600 * rustix::param::clock_ticks_per_second();
            let text =
                format!("{pid} (job) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {ticks} 9 256 1");
            let stat = Stat::read(text.as_bytes()).expect("a stat");
            tally.add(pid, &stat, false, Duration::from_secs(10 * 3600));
        }
        tally
    };
    let before = Before::default();
    let outcome = check.judge(&tally(&[9, 4, 5]), None, &before);
    assert_eq!(
        outcome.text,
        "3 processes named `job` run (job 10, job 11, job 12), the oldest for 6 h"
    );
    let outcome = check.judge(&tally(&[9, 3]), None, &before);
    assert_eq!(
        outcome.text,
        "job 11, the oldest of 2 processes named `job`, has run for 7 h, expected at most 6 h: does it hang?"
    );
    assert_eq!(outcome.log[2], "job 11: 1.0 MiB, runs for 7 h");
    let outcome = check.judge(&tally(&[10]), None, &before);
    assert_eq!(outcome.text, "job 10 has run for 0 s, expected at least 60 s: it was started anew");
}

#[tokio::test]
async fn memory_and_processor_time_have_limits() {
    let (programs, name) = (Programs::new(), unique("cpu"));
    let _idle = programs.sleeper(&name);
    let idle = probe("process", json!({"name": name, "measure": "cpu", "level": 50}));
    let began = Instant::now();
    let first = look(&*idle).await;
    assert!(began.elapsed() >= SPAN, "the first look measures over a second");
    assert_eq!((first.verdict, first.level.as_deref()), (Verdict::Pass, Some(" 0%")), "{first:?}");
    assert!(first.text.ends_with("is 0.0% of one core, limit 50%"), "{first:?}");

    let busy = unique("bsy");
    let shell = programs.named("/bin/sh", &busy);
    let _busy = start(Command::new(shell).args(["-c", "while :; do :; done"]));
    let outcome = seen(json!({"name": busy, "measure": "cpu", "level": 0.1, "warn": 0})).await;
    assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
    assert!(outcome.text.ends_with("of one core, over the limit of 0.1%"), "{outcome:?}");

    let memory = seen(json!({"name": name, "measure": "memory", "warn": 0.1})).await;
    assert_eq!(memory.severity(), Severity::Warning, "{memory:?}");
    assert!(memory.text.contains(" MiB, over the warning at 0.1 MiB"), "{memory:?}");
    let memory = seen(json!({"name": name, "measure": "memory"})).await;
    assert!(memory.level.as_ref().is_some_and(|level| level.ends_with(" MiB")), "{memory:?}");
    let memory = seen(json!({"name": unique("non"), "minCount": 0, "measure": "memory"})).await;
    assert_eq!(memory.verdict, Verdict::Pass, "{memory:?}");
}

#[tokio::test]
async fn a_machine_of_many_processes_is_read_in_bounded_space() {
    let root = TempDir::new().expect("a folder");
    let stat =
        |pid: usize| format!("{pid} (worker) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 5 9 256 1");
    for pid in 2..3000 {
        let folder = root.path().join(pid.to_string());
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("stat"), stat(pid)).expect("written");
    }
    // One that ends while it is looked at, and one of which nothing can be read.
    fs::create_dir(root.path().join("3001")).expect("a folder");
    fs::create_dir_all(root.path().join("3002/stat")).expect("a folder");
    fs::write(root.path().join("uptime"), "1").expect("written"); // no process
    let name = Some("worker".to_owned());
    let pick = Pick { name, pattern: None, user: None, pid_file: None };
    let end = Instant::now() + Duration::from_secs(60);
    let proc = Proc::new(root.path().into());
    let tally = Tally::take(&proc, &pick, false, end).expect("a list");
    assert_eq!((tally.count, tally.listed.len()), (2998, 20));
    // The one that cannot be read, and the first of the machine, which is not shown.
    assert_eq!(tally.hidden, 2);
    let mib = 2998.0 * 256.0 * rustix::param::page_size() as f64 / f64::from(1 << 20);
    assert!((tally.mib - mib).abs() < 1e-6);
    let nowhere = Proc::new(Path::new("/no/such").into());
    let error = Tally::take(&nowhere, &pick, false, end).expect_err("no list").to_string();
    assert!(error.starts_with("the processes cannot be listed: is /proc mounted?"), "{error}");
}

#[test]
fn what_this_user_may_not_see_is_told() {
    let check = check(json!({"name": "nginx"}));
    let tally = Tally { hidden: 1, ..Tally::default() };
    let outcome = check.judge(&tally, None, &Before::default());
    assert_eq!(
        outcome.text,
        "no process named `nginx` runs, expected at least 1; this user may not see all processes (a `hidepid` of \
         /proc, or a container)"
    );
}

#[test]
fn options_are_judged() {
    for (options, wrong) in [
        (json!({}), vec!["name"]),
        (json!({"name": "/usr/sbin/nginx"}), vec!["name"]),
        (json!({"pattern": ""}), vec!["pattern"]),
        (json!({"pattern": "("}), vec!["pattern"]),
        (json!({"pattern": "(\\w{500}){500}"}), vec!["pattern"]),
        (json!({"name": "a", "pidFile": "a.pid", "minCount": 2}), vec!["pidFile", "minCount"]),
        (json!({"name": "a", "minCount": 1.5}), vec!["minCount"]),
        (json!({"name": "a", "minCount": 2, "maxCount": 1}), vec!["maxCount"]),
        (json!({"name": "a", "minCount": 0}), vec!["minCount"]),
        (json!({"name": "a", "minAge": "2 h", "maxAge": "1 h"}), vec!["minAge"]),
        (json!({"name": "a", "level": 5, "warn": 4}), vec!["level", "warn"]),
        (json!({"name": "a", "measure": "disk"}), vec!["measure"]),
        (json!({"name": "a", "measure": "cpu", "level": 0}), vec!["level"]),
    ] {
        assert_eq!(faults("process", options.clone()), wrong, "{options}");
    }
    assert_eq!(faults("process", json!({"user": "root", "maxCount": 0})), [""; 0]);
}
