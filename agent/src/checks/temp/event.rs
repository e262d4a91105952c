//! The document `event.xml` of a temperature probe by Comet.

use std::borrow::Cow;

use roxmltree::{Document, Node};

/// Most tags of a document; a probe's has a few dozen. Whoever parses it makes room for two nodes for each, 72 bytes a node.
const TAGS: usize = 2000;

/// Most attributes of a document. Whoever parses it makes room for each, and compares it with all others of its element.
const ATTRIBUTES: usize = 2000;

/// Most namespaces of a document, which are carried on from each element to all within it.
const NAMESPACES: usize = 16;

/// Why there is no temperature in a document: a clause behind the name of the service.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(in crate::checks) enum NoTemperature {
    #[error("its event.xml is no XML: {0}")]
    Xml(#[from] roxmltree::Error),
    #[error("its event.xml has too many tags or attributes: is it a probe by Comet?")]
    TooMany,
    #[error("there is no `all/vs1` in its event.xml: is it a probe by Comet?")]
    Missing,
    #[error("`all/vs1` in its event.xml is `{0}`, no temperature in °C")]
    Unit(String),
}

/// The temperature in `all/vs1`, in °C.
pub(in crate::checks) fn temperature(document: &[u8]) -> Result<f64, NoTemperature> {
    let text = match str::from_utf8(document) {
        Ok(text) => Cow::Borrowed(text),
        // Whatever else it is in, the digits and the sign of the degree are those of Latin-1.
        Err(_) => document.iter().map(|byte| char::from(*byte)).collect(),
    };
    for (what, most) in [("<", TAGS), ("=", ATTRIBUTES), ("xmlns", NAMESPACES)] {
        if text.matches(what).count() > most {
            return Err(NoTemperature::TooMany);
        }
    }
    let document = Document::parse(&text)?;
    let value = child(document.root_element(), "all")
        .and_then(|all| child(all, "vs1"))
        .ok_or(NoTemperature::Missing)?
        .text()
        .unwrap_or_default()
        .trim();
    let unit = || NoTemperature::Unit(value.chars().take(40).collect());
    let number = value.strip_suffix("°C").ok_or_else(unit)?.trim_end();
    number.parse().ok().filter(|degrees: &f64| degrees.is_finite()).ok_or_else(unit)
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(inner: &str) -> Result<f64, NoTemperature> {
        temperature(format!("<?xml version=\"1.0\"?><root>{inner}</root>").as_bytes())
    }

    #[test]
    fn the_first_channel_is_read() {
        assert_eq!(read("<all><vs1>23.4°C</vs1><vs2>9°C</vs2></all>"), Ok(23.4));
        assert_eq!(read("<a/><all> <vs1> -5 °C </vs1></all><all><vs1>1°C</vs1></all>"), Ok(-5.0));
        let latin =
            b"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><r><all><vs1>7.5\xb0C</vs1></all></r>";
        assert_eq!(temperature(latin), Ok(7.5));
    }

    #[test]
    fn another_document_is_told() {
        for inner in ["", "<all/>", "<vs1>5°C</vs1>", "<all><sub><vs1>5°C</vs1></sub></all>"] {
            assert_eq!(read(inner), Err(NoTemperature::Missing), "{inner}");
        }
        for value in ["", "5", "5°F", "°C", "n/a", "x°C", "nan°C", "inf°C", "1,5°C"] {
            let inner = format!("<all><vs1>{value}</vs1></all>");
            assert_eq!(read(&inner), Err(NoTemperature::Unit(value.into())), "{value}");
        }
        for text in [
            "",
            "hello",
            "<html><br></html>",
            "<a>&b;</a>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        ] {
            assert!(matches!(temperature(text.as_bytes()), Err(NoTemperature::Xml(_))), "{text}");
        }
    }

    #[test]
    fn neither_many_nodes_nor_deep_ones_are_too_much() {
        assert_eq!(read(&"<a/>".repeat(TAGS)), Err(NoTemperature::TooMany));
        assert_eq!(read(&"<".repeat(TAGS)), Err(NoTemperature::TooMany));
        assert!(matches!(read(&"<a>".repeat(TAGS - 3)), Err(NoTemperature::Xml(_))));
        let beside = "<a/>".repeat(TAGS - 7);
        assert_eq!(read(&format!("{beside}<all><vs1>1°C</vs1></all>")), Ok(1.0));
    }

    /// 256 KiB of either took from seconds to minutes, and the second more than 100 MB.
    #[test]
    fn attributes_and_namespaces_that_grow_with_their_square_are_refused() {
        let attributes: String = (0..20_000).map(|n| format!(" a{n}=\"\"")).collect();
        let spaces: String = (0..5_000).map(|n| format!(" xmlns:a{n}=\"\"")).collect();
        let nested = "<b xmlns:x=\"y\">".repeat(5_000);
        for inner in [format!("<a{attributes}/>"), format!("<a{spaces}>{nested}")] {
            assert_eq!(read(&inner), Err(NoTemperature::TooMany));
        }
        let usual = "<all xmlns:x=\"y\" a=\"b=c\"><vs1 d=\"=\">1°C</vs1></all>";
        assert_eq!(read(usual), Ok(1.0));
    }

    proptest! {
        #[test]
        fn no_document_is_too_strange(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            inner in "(<all>|<vs1>|</vs1>|</all>|[0-9.]{1,3}|°C|&[a-z#0-9;]{0,4}|<!|\\PC){0,12}",
        ) {
            _ = temperature(&bytes);
            if let Ok(degrees) = read(&inner) {
                prop_assert!(degrees.is_finite());
            }
        }
    }
}
