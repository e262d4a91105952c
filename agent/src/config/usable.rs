//! Certificates and keys that a configuration names, as they are now.

use fletchck_shared::config::{Fault, Path, Site};

use crate::{
    chain,
    pem::{self, PairFiles},
};

/// What is right where a pair cannot be used.
const PAIR: &str =
    "`cert` and `key` with the paths of PEM files that can be read, as `fletchck init` makes them";

/// What is wrong with the certificates and keys of pages, link and broker: they are missing, cannot be read, or do not
/// belong together.
pub(super) fn unusable(site: &Site) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Some(web) = &site.webui {
        let path = Path::root().key("webui");
        match web.cert.clone().zip(web.key.clone()) {
            Some((cert, key)) => faults.extend(pair(&PairFiles { cert, key }, &path)),
            None => {
                let wrong = "there is no certificate, so browsers will warn of the pages";
                faults.push(Fault::error(path.key("cert"), wrong, PAIR));
            }
        }
    }
    if let Some(mqtt) = site.mqtt.as_ref().filter(|mqtt| mqtt.tls && site.broker.is_none())
        && let Some(file) = &mqtt.ca_file
        && let Err(reason) = pem::certificates(file)
    {
        let right = "a PEM file with the certificate of the broker's authority";
        let path = Path::root().key("mqtt").key("cafile");
        faults.push(Fault::error(path, chain(&reason), right));
    }
    if let Some(file) = site.heartbeat.as_ref().and_then(|heartbeat| heartbeat.ca_file.as_ref())
        && let Err(reason) = pem::certificates(file)
    {
        let right = "a PEM file with the certificate that its server is trusted by";
        let path = Path::root().key("heartbeat").key("cafile");
        faults.push(Fault::error(path, chain(&reason), right));
    }
    for (index, listener) in site.broker.iter().flat_map(|b| b.listeners.iter().enumerate()) {
        // One without a certificate of its own has that of the pages.
        if let Some((cert, key)) = listener.cert.clone().zip(listener.key.clone())
            && listener.tls
        {
            let path = Path::root().key("broker").key("listeners").index(index);
            faults.extend(pair(&PairFiles { cert, key }, &path));
        }
    }
    faults
}

fn pair(files: &PairFiles, path: &Path) -> Option<Fault> {
    let reason = files.read().err()?;
    let key = if files.blames_key(&reason) { "key" } else { "cert" };
    Some(Fault::error(path.key(key), chain(&reason), PAIR))
}
