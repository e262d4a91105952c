//! What a process has used, as Linux counts it.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Linux counts CPU time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that a process has used so far, in both modes, all of its threads together.
///
/// # Errors
/// It has ended.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may have spaces and brackets.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.map(|ticks| ticks.parse::<u32>().context(stat.clone())).sum::<Result<u32>>();
    Ok(TICK * ticks?)
}

/// Memory of a process that lies in RAM, in bytes.
///
/// # Errors
/// It has ended.
pub fn resident(pid: u32) -> Result<u64> {
    status(pid, "VmRSS")
}

/// The part of [`resident`] that is its own and not that of files such as its program.
///
/// # Errors
/// It has ended.
pub fn anonymous(pid: u32) -> Result<u64> {
    status(pid, "RssAnon")
}

/// A line of `/proc/PID/status`, in bytes.
fn status(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    let kilobytes: u64 = kilobytes.with_context(|| format!("no {name} of {pid}"))?.parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() -> Result<()> {
        let pid = std::process::id();
        let before = cpu(pid)?;
        let mut sum = 0_u64;
        while cpu(pid)? < before + TICK * 3 {
            sum = std::hint::black_box(sum).wrapping_add(1);
        }
        assert!(anonymous(pid)? > 100_000 && resident(pid)? > anonymous(pid)?);
        Ok(())
    }
}
