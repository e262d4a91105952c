//! A UPS at the other end of a pseudo terminal.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::fs::OFlags;
use serialport::{SerialPort, TTYPort};

/// A UPS on a pseudo terminal, until dropped.
pub(crate) struct Ups {
    /// Where it is asked.
    pub(crate) path: String,
    /// All that it was told.
    pub(crate) heard: Arc<Mutex<Vec<String>>>,
    _held: File,
}

impl Ups {
    /// A UPS that answers each command by this.
    pub(crate) fn new(answer: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::paced(None, answer)
    }

    /// A UPS that answers each command by this, one byte at a time with a pause behind it.
    pub(crate) fn paced(
        pause: Option<Duration>,
        mut answer: impl FnMut(&str) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let (mut master, slave) = TTYPort::pair().expect("a pseudo terminal");
        let path = slave.name().expect("its name");
        // A port takes one user at a time, and a line that nobody holds is dead: it is held without being used.
        drop(slave);
        let held = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(&path)
            .expect("the line");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        master.set_timeout(Duration::from_millis(100)).expect("a wait");
        thread::spawn(move || {
            let (mut waiting, mut piece) = (Vec::new(), [0; 64]);
            while Arc::strong_count(&hears) > 1 {
                match master.read(&mut piece) {
                    Ok(some) => waiting.extend_from_slice(&piece[..some]),
                    Err(error) if error.kind() == ErrorKind::TimedOut => {}
                    Err(_) => return,
                }
                while let Some(end) = waiting.iter().position(|byte| *byte == b'\r') {
                    let command: Vec<u8> = waiting.drain(..=end).collect();
                    let command = String::from_utf8_lossy(&command[..end]).into_owned();
                    let says = answer(&command);
                    hears.lock().push(command);
                    // Whoever asked may have hung up; what it makes of that is what a test looks at.
                    for piece in says.chunks(if pause.is_some() { 1 } else { says.len().max(1) }) {
                        master.write_all(piece).ok();
                        pause.inspect(|pause| thread::park_timeout(*pause));
                    }
                }
            }
        });
        Self { path, heard, _held: held }
    }
}
