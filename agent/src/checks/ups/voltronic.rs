//! The status of a UPS that speaks the protocol of Voltronic over a serial line, `QS` (networkupstools.org,
//! "voltronic-qs").

use std::fmt;

/// What a UPS says of itself. A value that it does not measure, `--.-`, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Status {
    /// Voltage of the mains.
    pub(crate) input: Option<f64>,
    /// Voltage of the mains when they last failed.
    pub(crate) fault: Option<f64>,
    /// Voltage of the output.
    pub(crate) output: Option<f64>,
    /// Load, percent.
    pub(crate) load: Option<f64>,
    /// Frequency, hertz.
    pub(crate) frequency: Option<f64>,
    /// Voltage of the battery.
    pub(crate) battery: Option<f64>,
    /// Temperature, degrees Celsius.
    pub(crate) temperature: Option<f64>,
    /// Its flags.
    pub(crate) flags: Flags,
}

/// The eight flags of a UPS, in the order it sends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// The mains have failed.
    pub(crate) const MAINS_FAIL: u8 = 0x80;
    /// The battery is low.
    pub(crate) const LOW_BATTERY: u8 = 0x40;
    /// The output is boosted, or bypasses the inverter.
    pub(crate) const BYPASS: u8 = 0x20;
    /// The UPS is faulty.
    pub(crate) const FAULT: u8 = 0x10;
    /// A self-test is going on.
    pub(crate) const TESTING: u8 = 0x04;
    /// A shutdown is under way.
    pub(crate) const SHUTDOWN: u8 = 0x02;
    /// The beeper is on.
    pub(crate) const BEEPER: u8 = 0x01;

    /// Whether a flag is set.
    pub(crate) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// The flags that are set, in words.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (Self::MAINS_FAIL, "mains failed"),
            (Self::LOW_BATTERY, "battery low"),
            (Self::BYPASS, "bypass or boost"),
            (Self::FAULT, "fault"),
            (Self::TESTING, "testing"),
            (Self::SHUTDOWN, "shutting down"),
            (Self::BEEPER, "beeper on"),
        ];
        let set: Vec<_> =
            all.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, word)| *word).collect();
        f.write_str(&if set.is_empty() { "none".into() } else { set.join(", ") })
    }
}

/// Reads a status, `(243.5 245.7 245.4 000 49.8 13.7 --.- 00001000` without its end; some begin it with `#`. `None` for
/// anything else.
pub(crate) fn status(line: &str) -> Option<Status> {
    let fields = line.trim().strip_prefix(['(', '#'])?;
    let mut fields = fields.split_ascii_whitespace();
    let mut number = || {
        let field = fields.next()?;
        if field.bytes().all(|byte| byte == b'-' || byte == b'.') {
            return Some(None);
        }
        field.parse::<f64>().ok().filter(|number| number.is_finite()).map(Some)
    };
    let [input, fault, output, load, frequency, battery, temperature] =
        [number()?, number()?, number()?, number()?, number()?, number()?, number()?];
    let bits = fields.next().filter(|bits| bits.len() == 8)?;
    let flags = u8::from_str_radix(bits, 2).ok().filter(|_| !bits.contains('+'))?;
    let flags = Flags(flags);
    Some(Status { input, fault, output, load, frequency, battery, temperature, flags })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_status_has_its_numbers_and_flags() {
        let seen = status("(243.5 245.7 245.4 012 49.8 13.7 --.- 10001001").expect("a status");
        assert_eq!((seen.input, seen.load, seen.battery), (Some(243.5), Some(12.0), Some(13.7)));
        assert_eq!(seen.temperature, None);
        assert_eq!(seen.flags.to_string(), "mains failed, beeper on");
        let quiet = status("#230.1 230.1 230.1 000 50.0 13.6 25.0 00001000\r").expect("a status");
        assert_eq!(quiet.flags.to_string(), "none");
    }

    #[test]
    fn what_is_no_status_is_none() {
        for line in [
            "",
            "QS",
            "(",
            "(1 2 3",
            "(1 2 3 4 5 6 7 0000100",
            "(1 2 3 4 5 6 7 0000100x",
            "(nan 2 3 4 5 6 7 00001000",
        ] {
            assert_eq!(status(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,80}|[(#]([0-9.-]{1,8} ){6,8}[01]{7,9}") {
            if let Some(seen) = status(&line) {
                prop_assert!(seen.battery.is_none_or(f64::is_finite));
            }
        }
    }
}
