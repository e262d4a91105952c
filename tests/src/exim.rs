//! The exim mail server: SMTP with STARTTLS, submission over TLS, and logins.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

use crate::pki::Pki;
use crate::port;
use crate::process::Process;

/// A running exim. By server name it shows other certificates, as [`Pki::by_name`] lists them.
#[derive(Debug)]
pub struct Exim {
    /// Plain SMTP that offers STARTTLS, and the login once that is done.
    pub smtp: u16,
    /// TLS from the first byte on, and the login.
    pub submission: u16,
    process: Process,
    _dir: TempDir,
}

impl Exim {
    /// Who may log in.
    pub const USER: &str = "watch@test.example";
    /// The password of [`Exim::USER`].
    pub const PASSWORD: &str = "open sesame";

    /// Starts a server on free ports.
    ///
    /// # Errors
    /// exim is not installed or does not start.
    pub async fn start(pki: &Pki) -> Result<Self> {
        let dir = TempDir::with_prefix("exim-")?;
        let (smtp, submission) = (port::free(), port::free());
        for name in ["spool", "log"] {
            fs::create_dir(dir.path().join(name))?;
        }
        let conf = dir.path().join("exim.conf");
        fs::write(&conf, settings(dir.path(), pki, smtp, submission)?)?;
        let mut command = Command::new("/usr/sbin/exim4");
        command.arg("-C").arg(conf).arg("-bdf");
        let mut process = Process::start("exim", command, &dir.path().join("output"))?;
        for port in [smtp, submission] {
            process.wait_for_port(port).await?;
        }
        Ok(Self { smtp, submission, process, _dir: dir })
    }

    /// The process, to freeze or end it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn settings(dir: &Path, pki: &Pki, smtp: u16, submission: u16) -> Result<String> {
    let dir = dir.display();
    // Whoever runs the tests runs exim too, so that all it writes stays in the folder.
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let mut text = format!(
        "exim_user = {user}\nexim_group = {group}\n\
         primary_hostname = mx.test.example\n\
         spool_directory = {dir}/spool\nlog_file_path = {dir}/log/%s\npid_file_path = {dir}/pid\n\
         local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {smtp} : {submission}\n\
         tls_on_connect_ports = {submission}\ntls_advertise_hosts = *\n\
         auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}\n\
         host_lookup =\nkeep_environment =\n"
    );
    for (option, file) in [("tls_certificate", 0), ("tls_privatekey", 1)] {
        let mut value = [&pki.valid.cert, &pki.valid.key][file].display().to_string();
        for (name, pair) in pki.by_name() {
            let path = [&pair.cert, &pair.key][file].display();
            value = format!("${{if eq{{$tls_in_sni}}{{{name}}}{{{path}}}{{{value}}}}}");
        }
        writeln!(text, "{option} = {value}")?;
    }
    let (name, password) = (Exim::USER, Exim::PASSWORD);
    write!(
        text,
        "begin authenticators\n\
         plain:\n driver = plaintext\n public_name = PLAIN\n server_prompts = :\n server_set_id = $auth2\n \
         server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}\n"
    )?;
    Ok(text)
}
