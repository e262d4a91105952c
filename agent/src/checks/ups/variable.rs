//! Variables of a UPS as a NUT server sends them (networkupstools.org, "Network protocol information").

use nut_client::Variable;

/// Reads a line `VAR NAME VARIABLE "VALUE"` of this UPS. `None` for any other line.
pub(crate) fn variable(line: &str, ups: &str) -> Option<Variable> {
    let words = words(line)?;
    match words.as_slice() {
        [var, of, name, value] if var == "VAR" && of == ups => {
            Some(Variable::parse(name, value.clone()))
        }
        _ => None,
    }
}

/// The words of a line: separated by blanks, or in quotes, where a backslash takes the next character as it is. `None`
/// where a quote has no end.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => {}
            '"' => {
                let mut word = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        c => word.push(c),
                    }
                }
                words.push(word);
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
                    word.push(c);
                }
                words.push(word);
            }
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_variable_has_a_name_and_a_value() {
        let seen = variable(r#"VAR nas ups.status "OL CHRG""#, "nas").expect("a variable");
        assert_eq!((seen.name(), seen.value().as_str()), ("ups.status", "OL CHRG"));
        let seen = variable(r#"VAR nas device.model "19\" \\rack""#, "nas").expect("a variable");
        assert_eq!(seen.value(), r#"19" \rack"#);
        for other in
            ["", "VAR", "END LIST VAR nas", "VAR nas a", r#"VAR nas a "b"#, r#"VAR other a "b""#]
        {
            assert!(variable(other, "nas").is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,80}|VAR u [a-z.]{1,9} \"[\\PC\\\\\"]{0,20}\"?") {
            variable(&line, "u");
        }
    }
}
