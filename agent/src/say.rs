//! What a command says to whoever called it. `println!` and `eprintln!` end the process where nobody reads any more, as behind
//! `head`.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Writes a text to standard output.
///
/// # Errors
/// It cannot be written. That nobody wants to read it is none.
pub fn out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has had enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard error. If that fails there is nobody left to tell.
pub fn err(line: impl Display) {
    _ = writeln!(io::stderr().lock(), "{line}");
}
