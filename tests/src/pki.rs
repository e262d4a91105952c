//! A certificate authority of our own, and certificates in every state a server can present.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Names every certificate but [`Pki::wrong`] is made out to; the later ones for virtual hosts told apart by SNI.
pub const NAMES: [&str; 10] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "*.test.example",
    // A star is not taken right before the top level.
    "expired.localhost",
    "expiring.localhost",
    "future.localhost",
    "wrong.localhost",
    "selfsigned.localhost",
    "authority.localhost",
];

const DAY: i64 = 24 * 3600;

/// A certificate with its private key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key, readable by every user because some servers read it as another.
    pub key: PathBuf,
}

/// The authority and the certificates it has signed, as files in one folder.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The authority's certificate: what a client must trust.
    pub ca: PathBuf,
    /// 60 days left.
    pub valid: Pair,
    /// 3 days left, under the 7 at which a check fails.
    pub expiring: Pair,
    /// Over since yesterday.
    pub expired: Pair,
    /// Begins tomorrow.
    pub future: Pair,
    /// Valid, for another name: `other.example`.
    pub wrong: Pair,
    /// Signed by itself, and no authority.
    pub selfsigned: Pair,
    /// Signed by itself, and an authority, as `openssl req -x509` makes them.
    pub authority: Pair,
    /// For a client named `agent-1`.
    pub client: Pair,
}

impl Pki {
    /// Makes everything anew in `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = dir.join("ca.pem");
        write(&ca, &params.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(params, key);

        let sign = |name: &str, names: &[&str], from, to| {
            sign(dir, Some(&issuer), &server(name, names, from, to)?, name)
        };
        let mut authority = server("localhost", &NAMES, -DAY, 60 * DAY)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut client = server("agent-1", &["agent-1"], -DAY, 60 * DAY)?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(Self {
            ca,
            valid: sign("valid", &NAMES, -DAY, 60 * DAY)?,
            expiring: sign("expiring", &NAMES, -DAY, 3 * DAY)?,
            expired: sign("expired", &NAMES, -10 * DAY, -DAY)?,
            future: sign("future", &NAMES, DAY, 10 * DAY)?,
            wrong: sign("wrong", &["other.example"], -DAY, 60 * DAY)?,
            selfsigned: self::sign(
                dir,
                None,
                &server("localhost", &NAMES, -DAY, 60 * DAY)?,
                "selfsigned",
            )?,
            authority: self::sign(dir, None, &authority, "authority")?,
            client: self::sign(dir, Some(&issuer), &client, "client")?,
        })
    }

    /// Which certificate a server with several shows to whom: the name that a client asks for, which leads to this machine
    /// without a name server, and the certificate.
    pub fn by_name(&self) -> [(&'static str, &Pair); 6] {
        [
            ("expired.localhost", &self.expired),
            ("expiring.localhost", &self.expiring),
            ("future.localhost", &self.future),
            ("wrong.localhost", &self.wrong),
            ("selfsigned.localhost", &self.selfsigned),
            ("authority.localhost", &self.authority),
        ]
    }

    /// Certificates that the original judges as we do, each with the state it is in.
    pub fn states(&self) -> [(&'static str, Pair); 6] {
        [
            ("valid", self.valid.clone()),
            ("expiring", self.expiring.clone()),
            ("expired", self.expired.clone()),
            ("wrong", self.wrong.clone()),
            ("self-signed", self.selfsigned.clone()),
            ("self-signed, an authority", self.authority.clone()),
        ]
    }
}

/// A server certificate valid between two moments, in seconds from now.
fn server(name: &str, names: &[&str], from: i64, to: i64) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = moment(from).into();
    params.not_after = moment(to).into();
    Ok(params)
}

fn moment(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { SystemTime::now() - distance } else { SystemTime::now() + distance }
}

/// Signs by the authority, or, without one, by the certificate's own key.
fn sign(
    dir: &Path,
    issuer: Option<&Issuer<'static, KeyPair>>,
    params: &CertificateParams,
    file: &str,
) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let signed = match issuer {
        Some(issuer) => params.signed_by(&key, issuer)?,
        None => params.self_signed(&key)?,
    };
    let pair = Pair { cert: dir.join(format!("{file}.pem")), key: dir.join(format!("{file}.key")) };
    write(&pair.cert, &signed.pem())?;
    write(&pair.key, &key.serialize_pem())?;
    Ok(pair)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
