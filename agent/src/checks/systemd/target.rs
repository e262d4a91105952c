//! Which unit is meant, or which may not have failed.

use super::super::Options;

/// Longest name of a unit.
const LONGEST: usize = 255;

const ENDINGS: &[&str] = &[
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// One unit, with its ending.
    Unit(String),
    /// All that have failed, or those of them that match.
    Failed(Option<String>),
}

impl Target {
    /// Reads `unit`.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let name = options.text("unit").map(str::trim).unwrap_or_default();
        let right = "a name as `systemctl list-units` has it, as in nginx or fstrim.timer";
        let pattern = name.contains(['*', '?', '[']);
        let known = |c: char| {
            c.is_ascii_alphanumeric() || ":_.\\@-".contains(c) || (pattern && "*?[]!^".contains(c))
        };
        if !name.chars().all(known) {
            options.fault("unit", "there is a character in it that no unit has", right);
            return None;
        }
        if name.is_empty() || name == "*" {
            return Some(Self::Failed(None));
        }
        if pattern {
            return Some(Self::Failed(Some(name.into())));
        }
        let name = whole(name);
        if name.len() > LONGEST {
            options.fault("unit", "it is longer than any unit", right);
        }
        if name.contains("@.") {
            options.fault(
                "unit",
                "it is a template, which is never started itself",
                "one made of it, as in getty@tty1",
            );
            return None;
        }
        Some(Self::Unit(name))
    }
}

/// A name with its ending, which may be left out for a service.
fn whole(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((_, ending)) if ENDINGS.contains(&ending) => name.into(),
        _ => format!("{name}.service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_needs_no_ending() {
        for (name, unit) in [
            ("nginx", "nginx.service"),
            ("fstrim.timer", "fstrim.timer"),
            ("my.app", "my.app.service"),
            ("getty@tty1", "getty@tty1.service"),
            ("-.mount", "-.mount"),
            ("dev-disk-by\\x2dlabel.swap", "dev-disk-by\\x2dlabel.swap"),
        ] {
            assert_eq!(whole(name), unit);
        }
    }
}
