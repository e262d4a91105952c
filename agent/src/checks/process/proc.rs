//! The processes of this machine as the kernel lists them, one after another.
//!
//! sysinfo would keep all of them, with command lines and paths: some 10 MB where 10,000 run. Here one is looked at after
//! another, only as far as is asked, and nothing is kept of those that are not.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    param::{clock_ticks_per_second, page_size},
    time::{ClockId, clock_gettime},
};

/// Most bytes of a command line that are searched.
const LINE: u64 = 64 * 1024;

/// Longest `stat` of a process: some fifty numbers, and a name.
const STAT: u64 = 4096;

/// A folder laid out as `/proc` is.
#[derive(Clone, Debug)]
pub(super) struct Proc {
    root: PathBuf,
}

/// A process, looked at no further than is asked.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) pid: u32,
    /// Its folder.
    path: &'a str,
    buffer: &'a mut Vec<u8>,
}

/// What the file `stat` of a process tells, as proc_pid_stat(5) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checks) struct Stat {
    /// Its name, of 15 bytes at most unless it is one of the kernel.
    pub(super) name: Vec<u8>,
    /// Whether it still runs, in whatever state.
    pub(super) runs: bool,
    /// Processor time it has taken, its own and the system's for it, in clock ticks.
    pub(super) ticks: u64,
    /// When it was started, in clock ticks since the machine was.
    pub(super) start: u64,
    /// Memory it holds, in pages.
    pages: u64,
}

/// Why the processes cannot be listed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcError {
    /// The folder is not there, or lists no process.
    #[error("the processes cannot be listed: is /proc mounted? ({0})")]
    Absent(#[source] io::Error),
    /// There are too many for the time.
    #[error(
        "there are too many processes to look at in time: after {0} of them there was none left"
    )]
    Late(u64),
    /// The user of the option is none.
    #[error("{0}")]
    User(String),
}

impl Proc {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Shows every process, and says how many could not be looked at. One that ends meanwhile is passed over.
    pub(super) fn each(
        &self,
        end: Instant,
        show: &mut dyn FnMut(&mut Entry<'_>) -> io::Result<()>,
    ) -> Result<u64, ProcError> {
        let (mut seen, mut hidden) = (0_u64, 0);
        let (mut path, mut buffer) = (String::new(), Vec::new());
        for entry in fs::read_dir(&self.root).map_err(ProcError::Absent)? {
            let name = entry.map_err(ProcError::Absent)?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if Instant::now() > end {
                return Err(ProcError::Late(seen));
            }
            seen += 1;
            hidden += u64::from(!self.show(pid, &mut path, &mut buffer, show));
        }
        if seen == 0 {
            return Err(ProcError::Absent(io::ErrorKind::NotFound.into()));
        }
        // Who may see only processes of its own does not see the first one either.
        Ok(hidden + u64::from(fs::metadata(self.root.join("1")).is_err()))
    }

    /// Shows the process of this number, if there is one, and says how many could not be looked at.
    pub(super) fn one(
        &self,
        pid: u32,
        show: &mut dyn FnMut(&mut Entry<'_>) -> io::Result<()>,
    ) -> u64 {
        u64::from(!self.show(pid, &mut String::new(), &mut Vec::new(), show))
    }

    /// The number of this process, as this folder counts.
    pub(super) fn own(&self) -> Option<u32> {
        fs::read_link(self.root.join("self")).ok()?.to_str()?.parse().ok()
    }

    /// Shows one, and says whether it could be looked at or is gone.
    fn show(
        &self,
        pid: u32,
        path: &mut String,
        buffer: &mut Vec<u8>,
        show: &mut dyn FnMut(&mut Entry<'_>) -> io::Result<()>,
    ) -> bool {
        path.clear();
        write!(path, "{}/{pid}", self.root.display()).expect("written");
        show(&mut Entry { pid, path, buffer }).map_or_else(|error| gone(&error), |()| true)
    }
}

impl Entry<'_> {
    /// The user it runs as. The folder is always that user's, other than what is in it.
    pub(super) fn user(&self) -> io::Result<u32> {
        Ok(fs::metadata(self.path)?.uid())
    }

    pub(super) fn stat(&mut self) -> io::Result<Stat> {
        self.read("stat", STAT)?;
        Stat::read(self.buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Its command line: program and arguments, each ended by a NUL. None for one of the kernel, or that has ended.
    pub(super) fn arguments(&mut self) -> io::Result<&[u8]> {
        self.read("cmdline", LINE)?;
        Ok(self.buffer)
    }

    fn read(&mut self, file: &str, most: u64) -> io::Result<()> {
        self.buffer.clear();
        let file = File::open(format!("{}/{file}", self.path))?;
        file.take(most).read_to_end(self.buffer)?;
        Ok(())
    }
}

impl Stat {
    /// Reads `1234 (name) S 1 …`. In a name there may be anything, brackets too.
    pub(in crate::checks) fn read(bytes: &[u8]) -> Option<Self> {
        let open = bytes.iter().position(|byte| *byte == b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')').filter(|close| *close > open)?;
        let fields = std::str::from_utf8(&bytes[close + 1..]).ok()?;
        // The manual counts from 1, and the state is its third.
        let fields: Vec<&str> = fields.split_ascii_whitespace().take(22).collect();
        let field = |nth: usize| fields.get(nth - 3).copied();
        let number = |nth| field(nth)?.parse::<u64>().ok();
        // The first thread of a process may have ended before the others, and then looks as a zombie does.
        let zombie = matches!(field(3)?, "Z" | "X" | "x") && number(20)? <= 1;
        Some(Self {
            name: bytes[open + 1..close].to_vec(),
            runs: !zombie,
            ticks: number(14)?.saturating_add(number(15)?),
            start: number(22)?,
            pages: field(24)?.parse::<i64>().ok()?.try_into().unwrap_or_default(),
        })
    }

    /// Memory it holds (resident), in MiB.
    pub(super) fn mib(&self) -> f64 {
        self.pages as f64 * page_size() as f64 / f64::from(1 << 20)
    }

    /// For how long it runs, where the machine has run for so long.
    pub(super) fn age(&self, up: Duration) -> Duration {
        up.saturating_sub(Duration::from_secs_f64(seconds(self.start)))
    }
}

/// Clock ticks in seconds.
pub(super) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

/// How long the machine runs, sleep included: the clock that starts are counted by. In a container, `/proc/uptime` may tell
/// the container's time.
pub(super) fn up() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// Whether an error says that the process has ended.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INIT: &str = "1 (systemd) S 0 1 1 0 -1 4194560 81292 10 95 2 7 5 10 20 20 0 1 0 42 23195648 3340 1844 1 1 0 0 0 0 6 4 8 0 0 0 17 0 0 0 0 0 0";

    #[test]
    fn a_stat_is_read() {
        let stat = Stat::read(INIT.as_bytes()).expect("a stat");
        let expected =
            Stat { name: b"systemd".to_vec(), runs: true, ticks: 12, start: 42, pages: 3340 };
        assert_eq!(stat, expected);
        let odd = INIT.replace("(systemd)", "(a) Z 1 (b\n) ");
        assert_eq!(Stat::read(odd.as_bytes()).expect("a stat").name, b"a) Z 1 (b\n");
        for (state, threads, runs) in [
            ("S", "1", true),
            ("D", "1", true),
            ("T", "1", true),
            ("Z", "1", false),
            ("Z", "2", true),
            ("X", "0", false),
        ] {
            let text = INIT.replace(") S ", &format!(") {state} "));
            let text = text.replace(" 20 0 1 0 ", &format!(" 20 0 {threads} 0 "));
            assert_eq!(Stat::read(text.as_bytes()).expect("a stat").runs, runs, "{text}");
        }
        for wrong in ["", "1", "1 (a", "1 a) S", ")(", "1 (a) S 1 2 3", &INIT[..60]] {
            assert_eq!(Stat::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn this_process_is_listed_with_what_it_is() {
        let proc = Proc::new("/proc".into());
        let own = proc.own().expect("a number");
        assert_eq!(own, std::process::id());
        let mut found = 0;
        let soon = Instant::now() + Duration::from_secs(60);
        proc.each(soon, &mut |entry| {
            if entry.pid == own {
                found += 1;
                let stat = entry.stat()?;
                assert!(stat.runs && stat.mib() > 0.5, "{stat:?}");
                assert!(stat.age(up()) < Duration::from_secs(3600), "{stat:?}");
                assert_eq!(entry.user()?, rustix::process::geteuid().as_raw());
                let arguments = entry.arguments()?;
                let program = std::env::args().next().expect("a program");
                assert!(arguments.starts_with(program.as_bytes()));
            }
            Ok(())
        })
        .expect("a list");
        assert_eq!(found, 1);
        let late = proc.each(Instant::now() - Duration::from_secs(1), &mut |_| Ok(()));
        assert!(matches!(late, Err(ProcError::Late(0))));
        let none = Proc::new("/etc".into()).each(soon, &mut |_| Ok(()));
        assert!(matches!(none, Err(ProcError::Absent(_))));
    }

    proptest! {
        #[test]
        fn no_stat_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Stat::read(&bytes));
        }

        #[test]
        fn any_name_and_number_is_read(name in prop::collection::vec(any::<u8>(), 0..64), start: u64, pages: i64) {
            let mut text = b"7 (".to_vec();
            text.extend(&name);
            text.extend(format!(") R 1 1 1 0 -1 0 0 0 0 0 3 4 0 0 20 0 1 0 {start} 9 {pages} 1").bytes());
            let stat = Stat::read(&text).expect("a stat");
            prop_assert_eq!(stat.name.as_slice(), name.as_slice());
            prop_assert_eq!((stat.ticks, stat.start, stat.runs), (7, start, true));
            prop_assert!(stat.mib() >= 0.0 && stat.age(Duration::from_secs(9)) <= Duration::from_secs(9));
        }
    }
}
