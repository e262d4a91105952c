//! What must hold of what power supplies answer. See [`crate::checks::properties`].

use fletchck_shared::Outcome;
use serde_json::json;

use super::{
    KIND, judge,
    nut::Nut,
    voltronic::{self, Status},
};
use crate::checks::{
    net::{Lines, Steps, failed},
    properties::{Scripted, converse, fit, made},
};

/// All that a NUT server says. The first byte says how long the pieces are that the rest comes in.
pub fn nut_answer(bytes: &[u8]) {
    let Some((piece, said)) = bytes.split_first() else { return };
    let options = json!({ "upsName": "nas", "charge": 50, "warn": 80 });
    let nut = made(&KIND, &options, Nut::read);
    converse(said, (*piece).into(), |server| spoken(&nut, server));
}

/// The status of a UPS on a serial line.
pub fn qs_status(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(status) = voltronic::status(&text) else { return };
    let Status { input, fault, output, load, frequency, battery, temperature, flags } = status;
    let numbers = [input, fault, output, load, frequency, battery, temperature];
    assert!(numbers.into_iter().flatten().all(f64::is_finite));
    let numbers = numbers.map(|number| number.map_or("--.-".into(), |number| number.to_string()));
    let bits: String =
        (0..8).rev().map(|bit| if flags.has(1 << bit) { '1' } else { '0' }).collect();
    let line = format!("({} {bits}", numbers.join(" "));
    assert_eq!(voltronic::status(&line), Some(status.clone()), "{line}");
    let outcome = judge("/dev/ttyS0", &status);
    outcome.log.iter().chain([&outcome.text]).for_each(|line| fit(line));
}

async fn spoken(nut: &Nut, server: Scripted) -> Outcome {
    let mut steps = Steps::default();
    let asked = nut.ask(Lines::new(server), &mut steps).await;
    steps.complete(asked.unwrap_or_else(|error| failed(nut, &error)))
}
