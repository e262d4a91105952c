//! What the end of a command means, in plain words.

use fletchck_shared::Outcome;

use super::{Exec, Said, number::Number};
use crate::program::{End, Ran, signal};

impl Exec {
    /// What a command that ran has found.
    pub(super) fn judge(&self, ran: &Ran) -> Outcome {
        let said = Said::read(&ran.output);
        let errors = Said::read(&ran.errors);
        let spoke = [&said.sentence, &errors.sentence].into_iter().find(|text| !text.is_empty());
        let name = self.program.name();
        let sentence = |code: i32| match spoke {
            Some(text) => text.clone(),
            None => format!("`{name}` ended with {code} and said nothing"),
        };
        let ended = |how: String| match spoke {
            Some(text) => format!("`{name}` {how}; it said `{text}`"),
            None => format!("`{name}` {how}"),
        };
        let outcome = match ran.end {
            End::Code(0) => Outcome::pass(sentence(0)),
            End::Code(1) if self.alerts => Outcome::fail(sentence(1)).warning(true),
            End::Code(1) => Outcome::pass(sentence(1)).warning(true),
            End::Code(2) => Outcome::fail(sentence(2)),
            End::Code(3) => Outcome::fail(match spoke {
                Some(text) => format!("{text} (unknown: `{name}` could not tell)"),
                None => format!("`{name}` could not tell (unknown), and said nothing"),
            }),
            End::Code(126) => Outcome::fail(ended(
                "ended with 126, as a shell does for a command that is not executable".into(),
            )),
            End::Code(127) => Outcome::fail(ended(
                "ended with 127, as a shell does for a command that is not found".into(),
            )),
            End::Code(code) => Outcome::fail(ended(format!(
                "ended with {code}, expected 0 (pass), 1 (warning), 2 (failure) or 3 (unknown)"
            ))),
            End::Signal(number) => Outcome::fail(ended(format!("was ended by {}", signal(number)))),
            End::Late => Outcome::fail(ended(format!(
                "did not end within {} s and was killed",
                self.timeout.as_secs_f64()
            ))),
        };
        let level = said.numbers.iter().find_map(Number::level);
        let text = outcome.text.clone();
        let numbers = said.numbers.iter().map(Number::to_string);
        // What a command complains of is of interest where it has not said all by itself.
        let complaints = (errors.sentence != text && !errors.sentence.is_empty())
            .then_some(errors.sentence)
            .into_iter()
            .chain(errors.more);
        let mut outcome =
            outcome.log([text].into_iter().chain(said.more).chain(numbers).chain(complaints));
        outcome.level = level;
        outcome
    }
}
