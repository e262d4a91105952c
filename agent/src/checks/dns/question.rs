//! What a name server is asked.

use std::{fmt, net::IpAddr};

use hickory_resolver::proto::{
    ProtoError,
    op::{Edns, Message, Query},
    rr::{Name, RecordType},
};

use super::{name, types};
use crate::checks::{Opt, Options};

/// The option `reqName`.
pub(super) const REQ_NAME: Opt =
    Opt::text("reqName", "org", "name that is asked about; for `PTR` an IP address");

/// The option `reqType`.
pub(super) const REQ_TYPE: Opt =
    Opt::text("reqType", "SOA", "type of record that is asked for, as `A`, `MX` or `TYPE65280`");

/// Longest answer over UDP that is asked for together with signatures, in bytes; it passes any network undivided.
const UDP_BYTES: u16 = 1232;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The name it is about.
    pub(super) name: Name,
    /// The type of record it asks for.
    pub(super) kind: RecordType,
    /// The address whose name it asks for.
    address: Option<IpAddr>,
}

impl Question {
    /// Reads `reqName` and `reqType`.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let kind = given(options.text("reqType")).unwrap_or("SOA");
        let text = given(options.text("reqName")).unwrap_or("org");
        let kind = types::named(kind).filter(|kind| !types::is_meta(*kind));
        if kind.is_none() {
            let right = "a type such as `A`, `AAAA`, `MX`, `TXT`, `SOA` or `TYPE65280`";
            options.fault("reqType", "it is no type of record that can be asked for", right);
        }
        let question = Self::about(text, kind.unwrap_or(RecordType::SOA));
        if question.is_none() {
            let (wrong, right) = match kind {
                Some(RecordType::PTR) => ("it is no address", "an IPv4 or IPv6 address"),
                _ => ("it is no name", "a name, as in `www.example.org`"),
            };
            options.fault("reqName", wrong, right);
        }
        if kind != Some(RecordType::PTR) && text.parse::<IpAddr>().is_ok() {
            let right = "a name; or `PTR` as `reqType`, for the name of an address";
            options.warning("reqName", "it is an address, and no name looks like one", right);
        }
        question.filter(|_| kind.is_some())
    }

    /// The question for records of this type of a name, and for `PTR` of an address. It may also be asked for by the
    /// name that an address has in the DNS.
    pub(super) fn about(text: &str, kind: RecordType) -> Option<Self> {
        if kind != RecordType::PTR {
            return Some(Self { name: name::parse(text)?, kind, address: None });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Some(Self { name: address.into(), kind, address: Some(address) });
        }
        let arpa = |name: &Name| name.iter().next_back().is_some_and(|top| top == b"arpa");
        let name = name::parse(text).filter(|name| arpa(&name.to_lowercase()))?;
        Some(Self { name, kind, address: None })
    }

    /// The message that asks it, and its number.
    pub(super) fn message(&self, dnssec: bool) -> Result<(u16, Vec<u8>), ProtoError> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.kind));
        if dnssec {
            // Either asks whether the answer was validated; old servers know only the second (RFC 6840 section 5.7).
            message.metadata.authentic_data = true;
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_BYTES).set_dnssec_ok(true);
            message.set_edns(edns);
        }
        Ok((message.id, message.to_vec()?))
    }

    /// What is asked about, as a sentence has it.
    pub(super) fn subject(&self) -> String {
        match self.address {
            Some(address) => address.to_string(),
            None => name::told(&self.name),
        }
    }
}

/// As in `www.example.org A`.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject(), types::name(self.kind))
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::MessageType;
    use proptest::proptest;

    use super::*;

    pub(super) fn about(text: &str, kind: RecordType) -> Option<String> {
        Question::about(text, kind).map(|question| name::shown(&question.name))
    }

    #[test]
    fn an_address_is_asked_about_by_its_name() {
        for (text, name) in [
            ("192.0.2.10", "10.2.0.192.in-addr.arpa."),
            ("::ffff:192.0.2.10", "10.2.0.192.in-addr.arpa."),
            (
                "2001:db8::1",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
            ),
            ("10.2.0.192.in-addr.ARPA", "10.2.0.192.in-addr.ARPA."),
        ] {
            assert_eq!(about(text, RecordType::PTR).as_deref(), Some(name));
        }
        for text in ["www.example.org", "", ".", "192.0.2", "arpa.org"] {
            assert_eq!(about(text, RecordType::PTR), None, "{text}");
        }
        assert_eq!(about("org", RecordType::SOA).as_deref(), Some("org."));
        let question = Question::about("192.0.2.10", RecordType::PTR).expect("a question");
        assert_eq!(question.to_string(), "192.0.2.10 PTR");
    }

    #[test]
    fn a_question_asks_for_recursion_and_where_wanted_for_authenticity() {
        let question = Question::about("www.example.org", RecordType::A).expect("a question");
        for dnssec in [false, true] {
            let (id, bytes) = question.message(dnssec).expect("a message");
            let message = Message::from_vec(&bytes).expect("the same message");
            assert_eq!((message.id, message.message_type), (id, MessageType::Query));
            assert!(message.recursion_desired && !message.checking_disabled);
            assert_eq!(message.authentic_data, dnssec);
            assert_eq!(message.edns.is_some_and(|edns| edns.flags().dnssec_ok), dnssec);
            assert_eq!(message.queries, [Query::query(question.name.clone(), RecordType::A)]);
        }
    }

    proptest! {
        #[test]
        fn any_question_can_be_asked(text in "\\PC{0,40}|[a-z0-9.:\\\\]{0,300}", number: u16) {
            if let Some(question) = Question::about(&text, number.into()) {
                question.message(true).expect("a message");
            }
        }
    }
}
