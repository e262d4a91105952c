//! What runs, as far as it is needed to judge it.

use std::time::{Duration, Instant};

use super::{
    cpu::Times,
    pick::{self, Pick},
    proc::{Proc, ProcError, Stat, up},
    user,
};

/// Most processes that are named in the log, and in the sentence.
const LISTED: usize = 20;
const NAMED: usize = 3;

/// What runs, in bounded space.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    /// Memory of all, in MiB.
    pub(super) mib: f64,
    pub(super) oldest: Option<Seen>,
    pub(super) listed: Vec<Seen>,
    /// How many could not be looked at.
    pub(super) hidden: u64,
    /// Why there is none, where a file names it.
    pub(super) why: Option<String>,
    /// Of all, where they are asked for.
    pub(super) times: Times,
}

/// A process that was found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) mib: f64,
    pub(super) age: Duration,
}

impl Tally {
    /// Looks at all processes, or at the one that a file names.
    pub(super) fn take(
        proc: &Proc,
        pick: &Pick,
        times: bool,
        end: Instant,
    ) -> Result<Self, ProcError> {
        let passwd = |user: &String| user::number(user, "/etc/passwd");
        let uid = pick.user.as_ref().map(passwd).transpose().map_err(ProcError::User)?;
        let (mut tally, own, up) = (Self::default(), proc.own(), up());
        if let Some(file) = &pick.pid_file {
            match pick::pid(file) {
                Ok(pid) => {
                    let mut other = None;
                    tally.hidden = proc.one(pid, &mut |entry| {
                        match pick.picks(entry, uid, own)? {
                            Some(stat) => tally.add(pid, &stat, times, up),
                            None => other = Some(entry.stat()?),
                        }
                        Ok(())
                    });
                    tally.why = Some(match other {
                        Some(stat) if stat.runs => {
                            format!("process {pid} is another one, `{}`", shown(&stat.name))
                        }
                        _ if tally.hidden > 0 => format!("it names process {pid}"),
                        _ => format!("it names process {pid}, which does not run"),
                    });
                }
                Err(why) => tally.why = Some(why),
            }
            return Ok(tally);
        }
        tally.hidden = proc.each(end, &mut |entry| {
            if let Some(stat) = pick.picks(entry, uid, own)? {
                tally.add(entry.pid, &stat, times, up);
            }
            Ok(())
        })?;
        Ok(tally)
    }

    /// Adds a process, with its times where they are asked for.
    pub(super) fn add(&mut self, pid: u32, stat: &Stat, times: bool, up: Duration) {
        let seen = Seen { pid, name: shown(&stat.name), mib: stat.mib(), age: stat.age(up) };
        self.count += 1;
        self.mib += seen.mib;
        if times {
            self.times.add(pid, stat);
        }
        if self.oldest.as_ref().is_none_or(|oldest| oldest.age < seen.age) {
            self.oldest = Some(seen.clone());
        }
        if self.listed.len() < LISTED {
            self.listed.push(seen);
        }
    }

    /// Some of them by name and number, in brackets.
    pub(super) fn some(&self) -> String {
        let named = |seen: &Seen| format!("{} {}", seen.name, seen.pid);
        let names: Vec<_> = self.listed.iter().take(NAMED).map(named).collect();
        match self.count.saturating_sub(NAMED as u64) {
            _ if names.is_empty() => String::new(),
            0 => format!(" ({})", names.join(", ")),
            more => format!(" ({} and {more} more)", names.join(", ")),
        }
    }
}

/// A name that whoever started it may have chosen.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace(char::is_control, "\u{fffd}")
}
