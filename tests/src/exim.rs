//! The exim mail server: SMTP with STARTTLS, submission over TLS, logins, and what it was given.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

use crate::pki::Pki;
use crate::port;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// A running exim. By server name it shows other certificates, as [`Pki::by_name`] lists them.
#[derive(Debug)]
pub struct Exim {
    /// Plain SMTP that offers STARTTLS, and the login once that is done.
    pub smtp: u16,
    /// TLS from the first byte on, and the login.
    pub submission: u16,
    process: Process,
    dir: TempDir,
}

impl Exim {
    /// Who may log in.
    pub const USER: &str = "watch@test.example";
    /// The password of [`Exim::USER`].
    pub const PASSWORD: &str = "open sesame";

    /// Starts a server on free ports. It keeps mail for anybody, but refuses `reject550` for good and `later451` for now,
    /// and takes its time with `slow`. By [`Exim::submission`] only those may send who have logged in.
    ///
    /// # Errors
    /// exim is not installed or does not start.
    pub async fn start(pki: &Pki) -> Result<Self> {
        Self::start_with(pki, "").await
    }

    /// As [`Exim::start`], with TLS 1.0 and 1.1 and nothing newer.
    ///
    /// # Errors
    /// exim is not installed or does not start.
    pub async fn start_old(pki: &Pki) -> Result<Self> {
        // In the words of GnuTLS, which exim is built with on Debian.
        let old = "tls_require_ciphers = LEGACY:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0\n";
        Self::start_with(pki, old).await
    }

    async fn start_with(pki: &Pki, more: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("exim-")?;
        let (smtp, submission) = (port::free(), port::free());
        for name in ["spool", "log", "mail"] {
            fs::create_dir(dir.path().join(name))?;
        }
        // Mail is never kept by root, so whoever keeps it must get there.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
        fs::set_permissions(dir.path().join("mail"), fs::Permissions::from_mode(0o777))?;
        let conf = dir.path().join("exim.conf");
        fs::write(&conf, more.to_owned() + &settings(dir.path(), pki, smtp, submission)?)?;
        let mut command = Command::new("/usr/sbin/exim4");
        command.arg("-C").arg(conf).arg("-bdf");
        let mut process = Process::start("exim", command, &dir.path().join("output"))?;
        for port in [smtp, submission] {
            process.wait_for_port(port).await?;
        }
        Ok(Self { smtp, submission, process, dir })
    }

    /// A program that takes mail as `sendmail` does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sendmail(&self) -> Result<PathBuf> {
        let (path, conf) = (self.dir.path().join("sendmail"), self.dir.path().join("exim.conf"));
        let script = format!("#!/bin/sh\nexec /usr/sbin/exim4 -C {} -odi \"$@\"\n", conf.display());
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Waits until so many mails are there, and answers with all of them, in no order.
    ///
    /// # Errors
    /// They do not arrive in [`PATIENCE`].
    pub async fn wait_for_mails(&self, many: usize) -> Result<Vec<String>> {
        let mails = async || Some(self.mails().ok()?).filter(|mails| mails.len() >= many);
        wait::until(PATIENCE, &format!("{many} mails"), mails).await
    }

    /// The mails that are there now, in no order.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn mails(&self) -> Result<Vec<String>> {
        let new = self.dir.path().join("mail/new");
        if !new.exists() {
            return Ok(Vec::new());
        }
        let mails = fs::read_dir(new)?.map(|mail| Ok(fs::read_to_string(mail?.path())?));
        mails.collect()
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
    // Who is root has somebody else keep mail; who is not cannot but do it.
    let keeper = if user == 0 { " user = Debian-exim\n" } else { "" };
    let drop = if user == 0 { "" } else { "deliver_drop_privilege = true\n" };
    text.push_str(drop);
    text.push_str("acl_smtp_rcpt = rcpt\nacl_smtp_data = accept\n");
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
        "begin acl\n\
         rcpt:\n deny local_parts = reject550\n message = no such user\n\
         defer local_parts = later451\n message = come back later\n\
         accept local_parts = slow\n delay = 3s\n\
         accept authenticated = *\n accept condition = ${{if eq{{$received_port}}{{{smtp}}}}}\n\
         deny message = authentication required\n\
         begin routers\nall:\n driver = accept\n transport = box\n\
         begin transports\nbox:\n driver = appendfile\n maildir_format\n directory = {dir}/mail\n \
         mode = 0644\n directory_mode = 0755\n envelope_to_add\n return_path_add\n{keeper}\
         begin authenticators\n\
         plain:\n driver = plaintext\n public_name = PLAIN\n server_prompts = :\n server_set_id = $auth2\n \
         server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}\n"
    )?;
    Ok(text)
}
