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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn statuses(given: serde_json::Value) -> Option<Statuses> {
        let given = json!({ "status": given });
        let given = given.as_object().expect("options");
        let read = |options: &mut Options<'_>| Some(Statuses::read(options));
        Options::read(given, super::super::KIND.options, read).0
    }

    fn taken(statuses: &Statuses) -> Vec<u16> {
        let take = |code: &u16| statuses.take(StatusCode::from_u16(*code).expect("a status"));
        (100..=999).filter(take).collect()
    }

    proptest! {
        #[test]
        fn a_list_takes_what_one_of_its_words_takes(
            words in prop::collection::vec("any|below [1-9][0-9]{2}|[1-9][0-9]{2}( ?- ?[1-9][0-9]{2})?", 1..5)
        ) {
            let each: Option<Vec<_>> = words.iter().map(|word| statuses(json!(word))).collect();
            let all = statuses(json!(words));
            prop_assert_eq!(all.is_some(), each.is_some());
            let (Some(all), Some(each)) = (all, each) else { return Ok(()) };
            let one = |code: &u16| each.iter().any(|statuses| taken(statuses).contains(code));
            prop_assert_eq!(taken(&all), (100..=999).filter(one).collect::<Vec<_>>());
            // As one text with commas it is the same, and so is what a sentence says.
            prop_assert_eq!(taken(&statuses(json!(words.join(","))).expect("the same")), taken(&all));
            prop_assert_eq!(taken(&statuses(json!(all.to_string())).expect("the same")), taken(&all));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,20}|[a-z0-9, -]{0,20}") {
            _ = statuses(json!(text));
        }
    }

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
