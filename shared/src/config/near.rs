//! Finding what was meant by a misspelt word.

/// The candidate that a word was most likely meant to be, if any is near enough to be worth asking about.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word this long was not typed by hand, and comparing it costs the square of its length.
    if word.len() > 64 {
        return None;
    }
    let wanted: Vec<char> = word.to_lowercase().chars().collect();
    let bound = (wanted.len() / 3).clamp(1, 2);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        // Every letter more or less is a slip.
        .filter(|candidate| candidate.chars().count().abs_diff(wanted.len()) <= bound)
        .map(|candidate| (slips(&wanted, candidate), candidate))
        .filter(|&(slips, _)| slips <= bound)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

/// What to write instead of a word that is none of these: the nearest, or all of them.
pub(crate) fn instead(word: &str, candidates: &[&str], what: &str) -> String {
    if let Some(near) = nearest(word, candidates.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    match candidates {
        [] => format!("there are no {what}"),
        few if few.len() <= 16 => format!("{what}: {}", few.join(", ")),
        many => format!("one of the {} {what}", many.len()),
    }
}

/// Letters to put in, take out, change or swap with the next one, to get from one word to the other.
fn slips(one: &[char], other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_understood_and_other_words_are_not() {
        let keys = ["threshold", "retries", "publish", "tls", "type"];
        for (word, want) in [
            ("treshold", Some("threshold")),
            ("Publish", Some("publish")),
            ("rertise", Some("retries")),
            ("tsl", Some("tls")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), want, "{word}");
        }
    }
}
