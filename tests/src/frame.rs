//! MQTT written byte by byte, for what no client library would send.

/// A packet: its first byte, the length of its body, and the body.
pub fn packet(header: u8, body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut length) = (vec![header], body.len());
    loop {
        let digit = (length & 0x7f) as u8;
        length >>= 7;
        bytes.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A text with its length before it.
pub fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}
