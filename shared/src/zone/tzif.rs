//! A zone as `zic` compiles it, version 2 or later of TZif (RFC 9636): the changes there were, and the rule for those to come.

use super::rule;

/// Length of the header of a block.
const HEADER: usize = 44;

/// How far a zone's clocks are from UTC at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    /// Seconds that they are ahead.
    pub(super) seconds: i32,
    /// What it is called.
    pub(super) abbreviation: &'static str,
}

/// The parts of the block that counts.
struct Block {
    /// When the clocks changed, 8 bytes each.
    times: &'static [u8],
    /// To which of the types, 1 byte each.
    to: &'static [u8],
    /// Offset, summer time, place of the abbreviation: 6 bytes each.
    types: &'static [u8],
    /// The abbreviations, each ended by a zero.
    names: &'static [u8],
    /// What holds after the last change, as in the variable `TZ`.
    rule: &'static str,
}

/// What the clocks of a zone are at, in seconds since 1970.
pub(super) fn shift_at(zone: &'static [u8], seconds: i64) -> Shift {
    lookup(zone, seconds).expect("the database is sound; a test reads all of it")
}

fn lookup(zone: &'static [u8], seconds: i64) -> Option<Shift> {
    let block = Block::read(zone)?;
    let count = block.to.len();
    let time = |n: usize| Some(i64::from_be_bytes(*block.times.get(n * 8..)?.first_chunk()?));
    // How many changes were before, or just now.
    let (mut passed, mut end) = (0, count);
    while passed < end {
        let middle = passed + (end - passed) / 2;
        if time(middle)? <= seconds { passed = middle + 1 } else { end = middle }
    }
    if passed == count && !block.rule.is_empty() {
        return rule::shift_at(block.rule, seconds);
    }
    let kind = match passed.checked_sub(1) {
        Some(last) => *block.to.get(last)?,
        None => 0,
    };
    block.shift(kind)
}

impl Block {
    /// The second block; the first one is for readers that know times of 4 bytes only.
    fn read(zone: &'static [u8]) -> Option<Self> {
        let first = Counts::read(zone)?;
        let rest = zone.get(HEADER + first.length(4)..)?;
        let counts = Counts::read(rest)?;
        let (body, rule) = rest.get(HEADER..)?.split_at_checked(counts.length(8))?;
        let (times, body) = body.split_at_checked(counts.times * 8)?;
        let (to, body) = body.split_at_checked(counts.times)?;
        let (types, body) = body.split_at_checked(counts.types * 6)?;
        let (names, _) = body.split_at_checked(counts.names)?;
        let rule = std::str::from_utf8(rule).ok()?.trim_matches('\n');
        Some(Self { times, to, types, names, rule })
    }

    fn shift(&self, kind: u8) -> Option<Shift> {
        let kind: &[u8; 6] = self.types.get(usize::from(kind) * 6..)?.first_chunk()?;
        let [a, b, c, d, _, name] = *kind;
        let name = self.names.get(usize::from(name)..)?;
        let end = name.iter().position(|&byte| byte == 0)?;
        let abbreviation = std::str::from_utf8(&name[..end]).ok()?;
        Some(Shift { seconds: i32::from_be_bytes([a, b, c, d]), abbreviation })
    }
}

/// How many there are of what, from a header.
struct Counts {
    is_ut: usize,
    is_standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    names: usize,
}

impl Counts {
    fn read(block: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = block.first_chunk()?;
        let version = header.strip_prefix(b"TZif")?.first()?;
        if *version < b'2' {
            return None;
        }
        let count = |n: usize| {
            let bytes = header.get(20 + n * 4..)?.first_chunk()?;
            usize::try_from(u32::from_be_bytes(*bytes)).ok()
        };
        Some(Self {
            is_ut: count(0)?,
            is_standard: count(1)?,
            leaps: count(2)?,
            times: count(3)?,
            types: count(4)?,
            names: count(5)?,
        })
    }

    /// Bytes of the block behind the header, with times of so many bytes.
    fn length(&self, time: usize) -> usize {
        self.times * (time + 1)
            + self.types * 6
            + self.names
            + self.leaps * (time + 4)
            + self.is_standard
            + self.is_ut
    }
}
