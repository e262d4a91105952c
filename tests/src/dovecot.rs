//! The dovecot mail server: IMAP, with TLS from its start and with STARTTLS, and logins.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

use crate::pki::Pki;
use crate::port;
use crate::process::Process;

/// A running dovecot. By server name it shows other certificates, as [`Pki::by_name`] lists them.
#[derive(Debug)]
pub struct Dovecot {
    /// Plain IMAP that offers STARTTLS, and the login once that is done.
    pub imap: u16,
    /// TLS from the first byte on, and the login.
    pub imaps: u16,
    process: Process,
    _dir: TempDir,
}

impl Dovecot {
    /// Who may log in.
    pub const USER: &str = "watch@test.example";
    /// The password of [`Dovecot::USER`].
    pub const PASSWORD: &str = "open \"sesame\"";

    /// Starts a server on free ports.
    ///
    /// # Errors
    /// dovecot is not installed or does not start.
    pub async fn start(pki: &Pki) -> Result<Self> {
        Self::start_with(pki, false).await
    }

    /// As [`Dovecot::start`], with TLS 1.0 and 1.1 and nothing newer.
    ///
    /// # Errors
    /// dovecot is not installed or does not start.
    pub async fn start_old(pki: &Pki) -> Result<Self> {
        Self::start_with(pki, true).await
    }

    async fn start_with(pki: &Pki, old: bool) -> Result<Self> {
        let dir = TempDir::with_prefix("dovecot-")?;
        let (imap, imaps) = (port::free(), port::free());
        let mail = dir.path().join("mail");
        fs::create_dir(&mail)?;
        // As root it works under three other users, who must get here.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        fs::set_permissions(&mail, Permissions::from_mode(0o777))?;
        let user = format!("{}:{{PLAIN}}{}\n", Self::USER, Self::PASSWORD);
        fs::write(dir.path().join("passwd"), user)?;
        let conf = dir.path().join("dovecot.conf");
        let mut text = settings(dir.path(), pki, imap, imaps)?;
        let mut command = Command::new("/usr/sbin/dovecot");
        command.arg("-F").arg("-c").arg(&conf);
        if old {
            // It has a setting for the oldest TLS alone; the newest one is up to OpenSSL.
            let openssl = dir.path().join("openssl.cnf");
            fs::write(&openssl, OLD)?;
            command.env("OPENSSL_CONF", openssl);
            text.push_str("ssl_min_protocol = TLSv1\nssl_cipher_list = ALL:@SECLEVEL=0\n");
            text.push_str("import_environment = $import_environment OPENSSL_CONF\n");
        }
        fs::write(&conf, text)?;
        let mut process = Process::start("dovecot", command, &dir.path().join("log"))?;
        for port in [imap, imaps] {
            process.wait_for_port(port).await?;
        }
        Ok(Self { imap, imaps, process, _dir: dir })
    }

    /// The process, to freeze or end it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// What has OpenSSL speak nothing newer than TLS 1.1.
const OLD: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n\
                   [tls]\nMinProtocol = TLSv1\nMaxProtocol = TLSv1.1\nCipherString = ALL:@SECLEVEL=0\n";

fn settings(dir: &Path, pki: &Pki, imap: u16, imaps: u16) -> Result<String> {
    let dir = dir.display();
    let mut text = format!(
        "base_dir = {dir}/run\nstate_dir = {dir}/state\nlog_path = /dev/stderr\n\
         protocols = imap\nlisten = 127.0.0.1\nssl = yes\n\
         ssl_cert = <{}\nssl_key = <{}\n\
         mail_location = maildir:{dir}/mail/%u\nauth_failure_delay = 0\n\
         passdb {{\n driver = passwd-file\n args = {dir}/passwd\n}}\n",
        pki.valid.cert.display(),
        pki.valid.key.display(),
    );
    for (name, pair) in pki.by_name() {
        writeln!(
            text,
            "local_name {name} {{\n ssl_cert = <{}\n ssl_key = <{}\n}}",
            pair.cert.display(),
            pair.key.display()
        )?;
    }
    let (mut owner, mut no_chroot) = ("uid=nobody gid=nogroup".to_owned(), "");
    if !geteuid().is_root() {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        owner = format!("uid={user} gid={group}");
        no_chroot = "chroot =\n";
        let user = id("-un")?;
        writeln!(text, "default_internal_user = {user}\ndefault_login_user = {user}")?;
        writeln!(text, "default_internal_group = {}", id("-gn")?)?;
    }
    // Without the last block a failed login slows down those after it.
    write!(
        text,
        "first_valid_uid = 1\n\
         userdb {{\n driver = static\n args = {owner} home={dir}/mail/%u\n}}\n\
         service imap-login {{\n {no_chroot}inet_listener imap {{\n port = {imap}\n }}\n\
         inet_listener imaps {{\n port = {imaps}\n ssl = yes\n }}\n}}\n\
         service anvil {{\n {no_chroot}unix_listener anvil-auth-penalty {{\n mode = 0\n }}\n}}\n"
    )?;
    Ok(text)
}

/// What `id` says of whoever runs the tests.
fn id(what: &str) -> Result<String> {
    let output = Command::new("id").arg(what).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
