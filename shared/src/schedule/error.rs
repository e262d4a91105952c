//! What can be wrong with a trigger, in words for its owner.

/// Why a text or a value is no trigger. Each says what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// The value is no object with one of the two kinds in it.
    #[error("a trigger is {{\"interval\": {{...}}}} or {{\"cron\": {{...}}}}, but here is {found}")]
    Shape {
        /// What stands there instead.
        found: String,
    },
    /// Nothing was written.
    #[error("the trigger is empty, write for example `5 min` or `cron 3 hr`")]
    Empty,
    /// A key that the kind does not have.
    #[error("unknown key `{key}` in `{kind}`, it can have {known}")]
    UnknownKey {
        /// `interval` or `cron`.
        kind: &'static str,
        /// The key as written.
        key: String,
        /// Every key the kind has.
        known: String,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}` is {found}, write {wanted}")]
    Value {
        /// The key of the value.
        key: String,
        /// The value as written.
        found: String,
        /// What is allowed.
        wanted: &'static str,
    },
    /// A word where a unit should be.
    #[error("unknown unit `{unit}`, use {known}")]
    UnknownUnit {
        /// The word as written.
        unit: String,
        /// Every unit of the kind.
        known: String,
    },
    /// A unit with nothing before it.
    #[error("nothing stands before `{unit}`: the value comes first, as in `5 min`")]
    NoValue {
        /// The unit as written.
        unit: String,
    },
    /// One key twice in a text.
    #[error("`{key}` is given twice, keep one")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// An interval of no length at all.
    #[error("the interval is zero, write for example `5 min` (the shortest is `1 sec`)")]
    ZeroInterval,
    /// An interval of less than a second.
    #[error("the interval is shorter than a second, the shortest is `1 sec`")]
    ShortInterval,
    /// An interval that no clock will see twice.
    #[error("the interval is longer than a hundred years")]
    LongInterval,
    /// A zone that the time zone database does not have.
    #[error("unknown time zone `{name}`, {hint}")]
    Zone {
        /// The name as written.
        name: String,
        /// The nearest name there is, or how such names look.
        hint: String,
    },
    /// A start or end that cannot be read.
    #[error(
        "`{key}` is `{found}`, write `2027-12-31` or `2027-12-31 18:30:00`, with an offset such as `+10:30` or `Z` if need be"
    )]
    Date {
        /// `start_date` or `end_date`.
        key: &'static str,
        /// The text as written.
        found: String,
    },
    /// A cron field that cannot be read.
    #[error("{field} `{text}`: {problem}")]
    Field {
        /// The field's key, as in `day_of_week`.
        field: &'static str,
        /// The part that is wrong, as written.
        text: String,
        /// What is wrong with it.
        problem: FieldProblem,
    },
    /// A cron trigger whose fields no day satisfies.
    #[error("this trigger never fires: no date has {fields} all at once")]
    Never {
        /// The fields that were given.
        fields: String,
    },
}

/// What is wrong with one part of a cron field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldProblem {
    /// None of the forms fits.
    #[error("not understood, write {wanted}")]
    Form {
        /// The forms this field has.
        wanted: String,
    },
    /// A number outside the field's range.
    #[error("{value} is out of range, this field goes from {min} to {max}")]
    Range {
        /// The number as written.
        value: String,
        /// Least value of the field.
        min: u16,
        /// Greatest value of the field.
        max: u16,
    },
    /// A range written backwards.
    #[error("the range runs backwards, write `{wanted}` to go past the end")]
    Backwards {
        /// The same in two parts.
        wanted: String,
    },
    /// A step of zero.
    #[error("a step of 0 leads nowhere, the smallest is 1")]
    ZeroStep,
    /// A step that leaves the range at once.
    #[error(
        "the step {step} is larger than the range it walks ({span}), so it would never be taken"
    )]
    LongStep {
        /// The step as written.
        step: String,
        /// Last value of the range minus its first.
        span: i32,
    },
    /// A word that is no name of this field.
    #[error("unknown name `{name}`, write {wanted}")]
    Name {
        /// The word as written.
        name: String,
        /// The names there are.
        wanted: String,
    },
    /// A step after names, which APScheduler 3 drops without a word.
    #[error("a step needs numbers, write `{numbers}`")]
    StepOnNames {
        /// The same in numbers.
        numbers: String,
    },
}
