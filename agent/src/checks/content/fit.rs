//! Which paths are fit to be followed: those that end soon, whatever the answer is.

use super::document::{singular, unquoted};

/// Deepest nesting of brackets in a path. With each level of filters within filters the time to read it doubles.
const NESTED: usize = 6;

/// Most places to which the lists in a path may lead from one, as `['a','b'][0,1]` leads to four.
const WIDE: usize = 64;

/// Longest pattern of `match` and `search`, which is read anew at each value.
const PATTERN: usize = 64;

/// Why a path is not fit: the fault, and what would be right.
pub(super) type Unfit = (&'static str, &'static str);

/// Why a path is not given to its parser, which would panic at a text that breaks off within `\u`, or not followed, which
/// would take what a check may not have for others. Brackets and dots in quotes do not count.
pub(super) fn unfit(path: &str) -> Option<Unfit> {
    if breaks_off(path) {
        let right = "four digits behind `\\u`, as in `\\u00e4`";
        return Some(("it has a `\\u` without its digits", right));
    }
    let (mut descents, mut before) = (0, ' ');
    // Places that each bracket leads to, which is none for a parenthesis, and those of all that were closed.
    let (mut open, mut wide) = (Vec::<usize>::new(), 1_usize);
    for (at, c) in unquoted(path) {
        let rest = &path[at + c.len_utf8()..];
        match c {
            '[' => open.push(1),
            '(' => {
                if let Some(unfit) = unfit_pattern(&path[..at], rest) {
                    return Some(unfit);
                }
                open.push(0);
            }
            ',' => {
                if let Some(places) = open.last_mut().filter(|places| **places > 0) {
                    *places += 1;
                }
            }
            ']' | ')' => wide = wide.saturating_mul(open.pop().unwrap_or(1).max(1)),
            '.' if before == '.' => {
                descents += 1;
                if descents > 1 || !open.is_empty() {
                    return Some((
                        "it has `..` twice or within a filter, which a large answer makes endless",
                        "one `..` at most, outside of filters, as in `$..queue[*].length`",
                    ));
                }
            }
            '$' if !open.is_empty() && !singular(rest) => {
                return Some((
                    "a `$` in its filter leads to many places, which a large answer makes endless",
                    "one that leads to one place, as in `$.disks[?@.name == $.main]`",
                ));
            }
            _ => {}
        }
        if open.len() > NESTED {
            return Some((
                "it is nested too deeply",
                "one with six brackets within each other at most",
            ));
        }
        before = c;
    }
    (wide > WIDE).then_some((
        "its lists lead to too many places",
        "lists that lead to 64 places at most, as `['a','b'][0,1]` does to four",
    ))
}

/// Why the pattern that stands behind `match(` or `search(` is not read anew at each value of an answer.
fn unfit_pattern(function: &str, arguments: &str) -> Option<Unfit> {
    if !function.ends_with("match") && !function.ends_with("search") {
        return None;
    }
    let comma = unquoted(arguments).find(|(_, c)| *c == ',').map(|(at, _)| at);
    let pattern = arguments[comma? + 1..].trim_start();
    let quote = pattern.chars().next().filter(|c| matches!(c, '"' | '\''));
    let pattern =
        quote.and_then(|quote| pattern[1..].split_once(quote)).map(|(pattern, _)| pattern);
    let fit = pattern.is_some_and(|pattern| pattern.len() <= PATTERN && !pattern.contains('{'));
    (!fit).then_some((
        "the pattern of its `match` or `search` may take endless",
        "one in quotes, of 64 characters at most and without `{`, as in `search(@.name, '^sd')`",
    ))
}

/// Whether a text in quotes has a `\u` without four hexadecimal digits.
fn breaks_off(path: &str) -> bool {
    let is_code = |text: &str| {
        text.as_bytes().get(..4).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    let (mut quote, mut chars) = (None, path.chars());
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') if chars.next() == Some('u') && !is_code(chars.as_str()) => {
                return true;
            }
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json_path::JsonPath;

    use super::*;

    /// Thirty levels took longer to read than anybody waits. Ten `..` took all memory, given an answer that is nested.
    #[test]
    fn a_path_that_takes_forever_is_refused() {
        let nested = |levels: usize| format!("${}{}", "[?@".repeat(levels), "]".repeat(levels));
        assert!(unfit(&nested(30)).is_some());
        assert!(unfit(&nested(NESTED)).is_none());
        assert!(unfit("$['[[[[[[[[', \"((((\\\"((((\"]").is_none());
        for path in ["$..a..b", "$..*..*..*", "$[?@..a]", "$[?$..a]", "$[?@.a[?length(@..b) > 1]]"]
        {
            assert!(unfit(path).is_some(), "{path}");
        }
        for path in ["$..a", "$..a[?@.b == '..']", "$['....']..c.d"] {
            assert!(unfit(path).is_none(), "{path}");
        }
    }

    /// Each level took as long as the answer is large, for each value of the level before.
    #[test]
    fn a_filter_that_begins_anew_at_the_whole_answer_is_refused() {
        for path in [
            "$[?$[?$[?@ > 1]]]",
            "$[?$[*] > 1]",
            "$[?count($.*) > 1]",
            "$[?$ [*]]",
            "$[?$.a .*]",
            "$[?$.a['b','c']]",
            "$[?$.a[0:]]",
            "$[?$[?@]]",
        ] {
            assert!(unfit(path).is_some(), "{path}");
        }
        for path in ["$[?@.a == $.b]", "$[?@.a > $.b['c d'][0].e]", "$[?@.a == '$[*]']", "$['$'].*"]
        {
            assert!(unfit(path).is_none(), "{path}");
            assert!(JsonPath::parse(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn lists_that_multiply_are_refused() {
        let lists = |of: &str, count: usize| format!("${}", of.repeat(count));
        assert!(unfit(&lists("[0,0]", 6)).is_none());
        assert!(unfit(&lists("[0,0]", 7)).is_some());
        assert!(unfit(&lists("[*,*,*,*,*,*,*,*]", 3)).is_some());
        assert!(unfit("$[?@[0,0,0,0,0,0,0,0][0,0,0,0,0,0,0,0][0,0]]").is_some());
        assert!(unfit("$[?match(@.a, 'b,c,d')][?match(@.b, 'c')]").is_none());
    }

    #[test]
    fn a_pattern_that_takes_long_to_read_is_refused() {
        for path in [
            "$[?search(@.a, @.b)]",
            "$[?match(@.a, $.b)]",
            "$[?search(@.a, '(a{1000}){1000}')]",
            "$[?!match( @.a , \"x{9}\")]",
        ] {
            assert!(unfit(path).is_some(), "{path}");
        }
        let path = "$[?search(@['a,b'], '^s[dr]')].ok";
        assert!(unfit(path).is_none());
        let disks = json!([{"a,b": "sda", "ok": true}, {"a,b": "loop0", "ok": false}]);
        let path = JsonPath::parse(path).expect("a path");
        assert_eq!(path.query(&disks).all(), [&json!(true)]);
    }
}
