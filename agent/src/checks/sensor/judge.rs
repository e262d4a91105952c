//! What is said of the sensors.

use fletchck_shared::Outcome;

use super::{
    super::{Before, limit::Limit, temp::degrees},
    SensorCheck,
    kernel::Sensor,
};

/// Limit of a sensor that has none of its own, in °C.
const LEVEL: f64 = 80.0;

/// Most sensors that a sentence lists.
const NAMED: usize = 8;

/// A sensor that was read.
struct Read<'a> {
    sensor: &'a Sensor,
    degrees: f64,
    limit: Limit,
    /// The greater, the more it decides: its temperature, or the share it is of its own limit.
    weight: f64,
}

impl SensorCheck {
    pub(super) fn judge(&self, sensors: &[Sensor], before: &Before) -> Outcome {
        let meant: Vec<_> = sensors.iter().filter(|sensor| self.pick.picks(sensor)).collect();
        let mut read: Vec<_> = meant.iter().filter_map(|sensor| self.read_of(sensor)).collect();
        read.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let name = |sensor: &Sensor| named(sensor, sensors);
        let silent = |sensor: &&Sensor| {
            let why = sensor.reading.as_ref().err()?;
            Some(format!("{} {why}", name(sensor)))
        };
        let silent: Vec<_> = meant.iter().filter_map(silent).collect();
        let Some(first) = read.first() else {
            let text = self.nothing(sensors, &silent);
            let log = if silent.is_empty() { vec![text.clone()] } else { silent };
            return Outcome::fail(text).log(log);
        };
        let what = match read.len() {
            1 => format!("the sensor {}", name(first.sensor)),
            count if self.limit.level().is_some() => {
                format!("the hottest of {count} sensors, {},", name(first.sensor))
            }
            count => {
                format!("of {count} sensors the nearest to its limit, {},", name(first.sensor))
            }
        };
        let mut outcome = first.limit.judge(&what, first.degrees, "", before);
        // Of all sensors some are always silent, as of a radio that is off. Who names some wants to hear of it.
        if self.pick.some() && !silent.is_empty() {
            let all = silent.len() + read.len();
            outcome.text +=
                &format!("; {} of {all} that match cannot be read: see the log", silent.len());
            outcome.warning = true;
        }
        let line = |read: &Read<'_>| {
            let (name, target) = (name(read.sensor), read.limit.target());
            format!("{name}: {} {target}", degrees(read.degrees))
        };
        outcome.log(read.iter().map(line).chain(silent))
    }

    fn read_of<'a>(&self, sensor: &'a Sensor) -> Option<Read<'a>> {
        let degrees = *sensor.reading.as_ref().ok()?;
        let own = sensor.critical.or(sensor.high).unwrap_or(LEVEL);
        let weight = if self.limit.level().is_some() { degrees } else { degrees / own };
        Some(Read { sensor, degrees, limit: self.limit.or(own, sensor.high), weight })
    }

    /// Why there is no temperature.
    fn nothing(&self, sensors: &[Sensor], silent: &[String]) -> String {
        match (sensors, silent) {
            ([], _) => "this machine shows no sensor of temperatures: a virtual one has none, another may need a driver (see \
                        `sensors-detect`)"
                .into(),
            (_, []) => {
                let mut names: Vec<_> = sensors.iter().map(|sensor| named(sensor, sensors)).collect();
                let more = names.len().saturating_sub(NAMED);
                names.truncate(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("no sensor matches {}; there are {}{more}", self.pick.words(), names.join(", "))
            }
            (_, [one]) => format!("the sensor {one}"),
            (_, [first, ..]) => format!("none of {} sensors can be read: {first}", silent.len()),
        }
    }
}

/// Chip and label, and the device where another sensor would have the same name.
fn named(sensor: &Sensor, all: &[Sensor]) -> String {
    let Sensor { chip, label, .. } = sensor;
    let same = all.iter().filter(|other| (&other.chip, &other.label) == (chip, label)).count();
    match &sensor.device {
        Some(device) if same > 1 => format!("{chip} {label} ({device})"),
        _ => format!("{chip} {label}"),
    }
}
