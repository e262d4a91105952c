//! The types of checks and actions that this program runs, for the reader of configurations.

use fletchck_shared::config::{Fault, Kinds};
use serde_json::{Map, Value};

use crate::{
    actions,
    checks::{self, Opt, OptionFault},
};

/// The types listed in [`checks::KINDS`] and [`actions::KINDS`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Built;

impl Kinds for Built {
    fn checks(&self) -> Vec<&'static str> {
        checks::KINDS.iter().map(|kind| kind.name).collect()
    }

    fn actions(&self) -> Vec<&'static str> {
        actions::KINDS.iter().map(|kind| kind.name).collect()
    }

    fn check_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        checks::kind(kind).map(|kind| names(kind.options))
    }

    fn action_options(&self, kind: &str) -> Option<Vec<&'static str>> {
        actions::kind(kind).map(|kind| names(kind.options))
    }

    fn check(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault> {
        checks::kind(kind).map_or_else(Vec::new, |kind| faults(kind.plan(options).1))
    }

    fn action(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault> {
        actions::kind(kind).map_or_else(Vec::new, |kind| faults(kind.action(options).1))
    }
}

fn names(options: &'static [Opt]) -> Vec<&'static str> {
    options.iter().map(|option| option.name).collect()
}

fn faults(found: Vec<OptionFault>) -> Vec<Fault> {
    let fault = |found: OptionFault| {
        let make = if found.warning { Fault::warning } else { Fault::error };
        make(found.option, found.wrong, found.right)
    };
    found.into_iter().map(fault).collect()
}
