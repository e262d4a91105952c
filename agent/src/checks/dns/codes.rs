//! How a reply went: the codes of the DNS and their names. <https://www.iana.org/assignments/dns-parameters>

/// All went well.
pub(super) const NOERROR: u16 = 0;
/// There is no such name.
pub(super) const NXDOMAIN: u16 = 3;

const FORMERR: u16 = 1;
const SERVFAIL: u16 = 2;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;

const NAMES: &[&str] = &[
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "DSOTYPENI",
];

/// What a server says more of an error (RFC 8914), by its number.
const EXTENDED: &[&str] = &[
    "other error",
    "algorithm of the key not supported",
    "type of digest not supported",
    "stale answer",
    "forged answer",
    "signatures could not be judged",
    "signatures are wrong",
    "signature expired",
    "signature not yet valid",
    "key missing",
    "signatures missing",
    "no key for zones",
    "proof of absence missing",
    "failure remembered",
    "not ready",
    "blocked",
    "censored",
    "filtered",
    "prohibited",
    "stale answer that there is no such name",
    "not authoritative",
    "not supported",
    "no authority reachable",
    "network error",
    "invalid data",
];

/// Longest text of a server that is told, in characters.
const TOLD: usize = 120;

/// The name of a code.
pub(super) fn name(code: u16) -> String {
    match code {
        16 => "BADVERS".into(),
        23 => "BADCOOKIE".into(),
        _ => NAMES.get(usize::from(code)).map_or_else(|| format!("RCODE{code}"), |n| (*n).into()),
    }
}

/// What a code that is an error means, as a clause that goes on from the server. What the server says more of it, if it
/// does, stands in place of what may be the cause.
pub(super) fn meaning(code: u16, says: Option<&str>) -> String {
    let name = name(code);
    let (what, cause) = match code {
        FORMERR => ("it does not understand the question", ""),
        SERVFAIL => (
            "it could not find out",
            ": the zone is not loaded, the servers it asks do not answer, or signatures are wrong",
        ),
        NOTIMP => ("it does not know this kind of question", ""),
        REFUSED => {
            ("it refuses to answer", ": it does not serve this zone, or not to this machine")
        }
        _ => ("it answered with an error", ""),
    };
    match says {
        Some(says) => format!("{what} ({name}), and says: {says}"),
        None => format!("{what} ({name}){cause}"),
    }
}

/// What a server says more of an error, in words.
pub(super) fn extended(info: u16, text: &[u8]) -> String {
    let name = match EXTENDED.get(usize::from(info)) {
        Some(name) => (*name).to_owned(),
        None => format!("extended error {info}"),
    };
    let text = String::from_utf8_lossy(text);
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let text: String = text.trim_end_matches('\0').chars().take(TOLD).map(plain).collect();
    if text.is_empty() { name } else { format!("{name}, `{text}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names_and_meanings() {
        let names = [0, 2, 3, 5, 11, 12, 16, 4095].map(name);
        let wanted = [
            "NOERROR",
            "SERVFAIL",
            "NXDOMAIN",
            "REFUSED",
            "DSOTYPENI",
            "RCODE12",
            "BADVERS",
            "RCODE4095",
        ];
        assert_eq!(names, wanted);
        assert_eq!(meaning(9, None), "it answered with an error (NOTAUTH)");
        assert_eq!(meaning(1, None), "it does not understand the question (FORMERR)");
        assert_eq!(
            meaning(5, Some("blocked")),
            "it refuses to answer (REFUSED), and says: blocked"
        );
        assert_eq!(extended(6, b""), "signatures are wrong");
        assert_eq!(extended(7, b"www\n\0"), "signature expired, `www\u{fffd}`");
        assert_eq!(
            extended(999, &[0xff; 500]).chars().count(),
            "extended error 999, ``".len() + TOLD
        );
    }
}
