//! `certfile`: a certificate on this machine's disk.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use fletchck_shared::{Outcome, time};
use rustix::fs::OFlags;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    aside::Aside,
    limit::WARN_ALERTS,
    net::{self, Certificate, Days, level},
};

/// The entry of `certfile` in the table.
pub const KIND: Kind = Kind {
    name: "certfile",
    summary: "a certificate in a PEM file, and how many days are left of it",
    options: &[
        Opt::text("filename", "required", "path of the PEM file"),
        Opt::flag(
            "all",
            "false",
            "whether all certificates in the file count, and not the first alone; the one that ends first decides",
        ),
        net::DAYS,
        net::WARN_DAYS,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "The file can be read, and its certificate is valid now and for a week or more.",
        leaves_open: "Whether the program that uses the file has taken it over since it was renewed, whether the key fits, and \
                      whether anybody trusts it: the check `cert` asks the server itself.",
        failure: "The sentence says when the certificate ends or ended, or why the file could not be read. The level is the \
                  number of days left.",
        matters: "`days` and `warn`, so that there is time to act. Put the check `cert` beside it, for a renewed file that no \
                  server has read helps nobody.",
    },
    example: r#"{"type": "certfile", "trigger": {"interval": {"hours": 12}}, "options": {"filename": "/etc/ssl/private/mail.pem", "days": 14}}"#,
    build,
};

/// Largest file that is read, in bytes.
const MAX: u64 = 1024 * 1024;

/// Longest wait for the file.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct CertFile {
    file: PathBuf,
    all: bool,
    days: Days,
    alerts: bool,
    aside: Aside,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let file = options.required_text("filename");
    if file.is_some_and(|file| !file.starts_with('/')) {
        options.fault("filename", "it is no absolute path", "a path that begins with `/`");
    }
    let all = options.flag("all", false);
    let days = Days::read(options);
    let alerts = options.flag("warnAlerts", false);
    let file = file?.into();
    Some(Plan::Probe(Arc::new(CertFile { file, all, days, alerts, aside: Aside::default() })))
}

#[async_trait]
impl Probe for CertFile {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let path = self.file.clone();
        let pem = match self.aside.ask(PATIENCE, move || read(&path)).await {
            Ok(pem) => pem.map_err(|error| words(&error)),
            Err(error) => Err(error.to_string()),
        };
        match pem.and_then(|pem| certificates(&pem)) {
            Ok(chain) => self.judge(&chain, look),
            Err(wrong) => {
                let text = format!("{} {wrong}", self.file.display());
                Outcome::fail(text.clone()).log([text])
            }
        }
    }

    fn limit(&self) -> Duration {
        PATIENCE + Duration::from_secs(1)
    }

    fn local(&self) -> bool {
        true
    }
}

impl CertFile {
    fn judge(&self, chain: &[(CertificateDer<'_>, Certificate)], look: &Look<'_>) -> Outcome {
        let counting = if self.all { chain } else { &chain[..chain.len().min(1)] };
        let first_to_end = counting.iter().map(|(_, one)| one).min_by_key(|one| one.not_after);
        let not_yet = counting.iter().map(|(_, one)| one).find(|one| one.not_before > look.now);
        let (Some(certificate), Some((first, rest))) = (first_to_end, chain.split_first()) else {
            let text = format!("{} holds no certificate", self.file.display());
            return Outcome::fail(text.clone()).log([text]);
        };
        let file = self.file.display();
        let whose = |one: &Certificate| match one.names.is_empty() {
            true => one.subject.clone(),
            false => one.told_names(),
        };
        let failed = |text: String| {
            Outcome::fail(text).soft_fail("certificate").level(level(certificate, look.now))
        };
        let outcome = if self.days.too_few(certificate, look.now) {
            let end = certificate.end(look.now, look.zone);
            failed(format!("{file}: the certificate for {} {end}", whose(certificate)))
        } else if let Some(one) = not_yet {
            let date = time::people(one.not_before, look.zone);
            let clock = "is this machine's clock right?";
            failed(format!(
                "{file}: the certificate for {} is not valid before {date}; {clock}",
                whose(one)
            ))
        } else {
            let valid = certificate.validity(look.now, look.zone);
            let text = format!("{file}: the certificate for {} is {valid}", whose(certificate));
            self.days.good(text, certificate, look.now, self.alerts)
        };
        let others: Vec<_> = rest.iter().map(|(der, _)| der.clone()).collect();
        outcome.log(first.1.lines(&others, look.now, look.zone))
    }
}

/// The file's content. What is no plain file, a pipe for example, is not waited for.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut pem = Vec::new();
    file.take(MAX + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > MAX {
        return Err(io::Error::other(format!("it has more than {} KiB", MAX / 1024)));
    }
    Ok(pem)
}

/// The certificates in a file, in its order. What else is in it, keys for example, is passed over.
pub(super) fn certificates(
    pem: &[u8],
) -> Result<Vec<(CertificateDer<'static>, Certificate)>, String> {
    let mut all = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem) {
        let nth = all.len() + 1;
        let der = der.map_err(|error| format!("is damaged: certificate {nth} in it: {error}"))?;
        let certificate = Certificate::read(&der)
            .ok_or_else(|| format!("is damaged: certificate {nth} in it cannot be read"))?;
        all.push((der, certificate));
    }
    if all.is_empty() {
        return Err("holds no certificate in PEM (BEGIN CERTIFICATE)".into());
    }
    Ok(all)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::PermissionDenied => "cannot be read: this user may not".into(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests;
