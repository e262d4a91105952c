//! `sensor`: temperatures that this machine measures in itself.

mod judge;
mod kernel;
mod pick;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    aside::{Aside, AsideError},
    limit::{Limit, Scale, WARN_ALERTS},
    temp::degrees,
};
pub(super) use kernel::degrees_of;
use kernel::sensors;
use pick::Pick;

/// The entry of `sensor` in the table.
pub const KIND: Kind = Kind {
    name: "sensor",
    summary: "temperatures that this machine measures: of processors, disks, boards",
    options: &[
        Opt::text(
            "chip",
            "all",
            "name of a chip or of its device, as in `coretemp`, `nvme*`, `sda`; `*`, `?` and `[a-z]` match as in a shell, \
             upper and lower case are the same",
        ),
        Opt::text(
            "label",
            "all",
            "label of a sensor, as in `Package id *` or `temp1`, in the same way",
        ),
        Opt::number(
            "level",
            "the sensor's own: critical, else highest, else 80",
            "limit of the temperature, °C",
        ),
        Opt::number(
            "hysteresis",
            "2",
            "a failing check passes once it is this far below the level, °C",
        ),
        Opt::number(
            "warn",
            "the sensor's own highest, where its critical limits",
            "temperature over which a pass is a warning, °C",
        ),
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "At least one sensor that is meant was read, and none of them is over the limit. The hottest decides; with their own \
                 limits, the one that is nearest to its own, as a share of it.",
        leaves_open: "Whether fans turn, and voltages. What cannot be: −40 °C and less, 127 to 128 °C and more than 150 °C, as \
                      inputs show that nothing is connected to, is left out and told in the log.",
        failure: "The sentence names the sensor, its temperature and the limit, the log all that are meant. It fails too if no \
                  sensor matches or none can be read, as on most virtual machines, and then says which there are.",
        matters: "`chip`, for a disk wants to stay far cooler than a processor: make a check for each, and set its `level`. A check \
                  without both watches all by their own limits, which suits servers and says little on boards that have none.",
    },
    example: r#"{"type": "sensor", "trigger": {"interval": {"minutes": 5}}, "options": {"chip": "nvme*", "label": "Composite", "level": 70, "warn": 60}}"#,
    build,
};

/// How long sensors are waited for. One on a slow bus takes some milliseconds.
const TIME: Duration = Duration::from_secs(10);

/// A temperature of something in a machine.
static CELSIUS: Scale = Scale {
    option: "level",
    counts: "degrees Celsius",
    range: (-40.0, 150.0),
    seen: degrees,
    chosen: |degrees| format!("{degrees}°C"),
    level: degrees,
};

struct SensorCheck {
    pick: Pick,
    limit: Limit,
    /// Folder with `hwmon` and `thermal`.
    class: PathBuf,
    aside: Aside,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(SensorCheck::read(options))))
}

#[async_trait]
impl Probe for SensorCheck {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let class = self.class.clone();
        // A driver may wait for its chip, and a disk that is being reset for itself.
        match self.aside.ask(TIME, move || sensors(&class)).await {
            Ok(Ok(sensors)) => self.judge(&sensors, look.before),
            Ok(Err(error)) => Outcome::fail(error.to_string()),
            Err(AsideError::Owing | AsideError::Late(_)) => {
                let limit = TIME.as_secs();
                Outcome::fail(format!(
                    "the sensors could not be read within {limit} s: does `sensors` hang too?"
                ))
            }
            Err(error) => Outcome::fail(format!("the sensors: {error}")),
        }
    }

    fn limit(&self) -> Duration {
        TIME + Duration::from_secs(1)
    }

    fn local(&self) -> bool {
        true
    }
}

impl SensorCheck {
    fn read(options: &mut Options<'_>) -> Self {
        let pick = Pick::read(options);
        let limit = Limit::read(options, &CELSIUS, None, 2.0);
        Self { pick, limit, class: PathBuf::from("/sys/class"), aside: Aside::default() }
    }
}

#[cfg(test)]
mod tests;
