//! Which statuses are good.

use std::{fmt, ops::RangeInclusive};

use http::StatusCode;

use crate::checks::{Opt, Options, Shape};

/// The option `status`.
pub(super) const STATUS: Opt = Opt::new(
    "status",
    Shape::Texts,
    "any",
    "statuses that are good: `below 400`, `204`, `200-299`, or a list of such",
);

/// Statuses that are good. Without any, all are.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    good: Vec<RangeInclusive<u16>>,
    text: String,
}

impl Statuses {
    /// Reads `status`.
    pub(super) fn read(options: &mut Options<'_>) -> Self {
        let words = options.words("status").unwrap_or_default();
        let mut statuses = Self { good: Vec::new(), text: words.join(", ") };
        for word in words.iter().flat_map(|word| word.split(',')) {
            match range(word.trim()) {
                Some(range) => statuses.good.push(range),
                None => options.fault(
                    "status",
                    format!("{:?} is no status", word.trim()),
                    "`any`, `below 400`, `204` or `200-299`, several in a list",
                ),
            }
        }
        statuses
    }

    /// Whether a status is among them.
    pub(super) fn take(&self, status: StatusCode) -> bool {
        self.good.is_empty() || self.good.iter().any(|range| range.contains(&status.as_u16()))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let number = |text: &str| text.trim().parse().ok().filter(|n| (100..=999).contains(n));
    if word == "any" {
        return Some(100..=999);
    }
    if let Some(end) = word.strip_prefix("below ") {
        return number(end).filter(|end| *end > 100).map(|end| 100..=end - 1);
    }
    match word.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(first..=last)
        }
        None => number(word).map(|n| n..=n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_they_are_meant() {
        for (word, good) in [
            ("any", Some(100..=999)),
            ("below 400", Some(100..=399)),
            ("204", Some(204..=204)),
            ("200-299", Some(200..=299)),
            ("200 - 299", Some(200..=299)),
            ("299-200", None),
            ("20", None),
            ("below 100", None),
            ("ok", None),
            ("", None),
            ("99999", None),
        ] {
            assert_eq!(range(word), good, "{word}");
        }
    }
}
