//! The sensors that the kernel shows as files: those of hardware monitors in `hwmon`, and where there are none the thermal
//! zones, as on small boards.
//!
//! sysinfo reads the same files, but leaves out what cannot be read, and knows neither devices nor that an input is broken.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use rustix::io::Errno;

/// Longest number and longest name that are read, in bytes.
const NUMBER: u64 = 64;
const NAME: u64 = 256;

/// A sensor of a temperature, and what it says.
#[derive(Debug)]
pub(super) struct Sensor {
    /// The chip that measures, as its driver calls it.
    pub(super) chip: String,
    /// What it belongs to, `nvme0` or `sda`, where that is known.
    pub(super) device: Option<String>,
    /// What it measures, `Package id 0`, or the channel again.
    pub(super) label: String,
    /// The input of the chip, `temp1`.
    pub(super) channel: String,
    /// In °C.
    pub(super) reading: Result<f64, Silence>,
    /// Its own limits, in °C, where they are credible.
    pub(super) high: Option<f64>,
    pub(super) critical: Option<f64>,
}

/// Why a sensor says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    #[error("reports itself that it is broken, or that nothing is connected")]
    Broken,
    #[error("has no reading at the moment: is what it belongs to switched off?")]
    NoData,
    #[error("has gone")]
    Gone,
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    #[error("gives no number")]
    NoNumber,
    #[error("reads {0:.1}°C, which cannot be: nothing is connected to it")]
    Impossible(f64),
}

/// Why the sensors cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("the sensors cannot be listed: {path}: {source}")]
pub(super) struct ListError {
    path: String,
    source: io::Error,
}

/// All sensors of temperatures below this folder, `/sys/class`.
pub(super) fn sensors(class: &Path) -> Result<Vec<Sensor>, ListError> {
    let mut sensors = Vec::new();
    for chip in folders(&class.join("hwmon"), "hwmon")? {
        let files = match fs::read_dir(&chip) {
            Ok(files) => files,
            // It was unplugged since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(ListError { path: chip.display().to_string(), source }),
        };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let channels = names.filter_map(|name| {
            name.strip_suffix("_input")?.strip_prefix("temp")?.parse::<u32>().ok()
        });
        let mut channels: Vec<_> = channels.collect();
        channels.sort_unstable();
        sensors.extend(channels.into_iter().map(|channel| monitor(&chip, channel)));
    }
    if sensors.is_empty() {
        let zones = folders(&class.join("thermal"), "thermal_zone")?;
        sensors.extend(zones.iter().map(|folder| zone(folder)));
    }
    Ok(sensors)
}

/// A temperature in °C, as the kernel writes it: in thousandths.
pub(in crate::checks) fn degrees_of(bytes: &[u8]) -> Option<f64> {
    let thousandths: i64 = std::str::from_utf8(bytes).ok()?.trim().parse().ok()?;
    Some(thousandths as f64 / 1000.0)
}

/// The folders of this name with a number behind it, in the order of the numbers. There are none where there is no folder.
fn folders(path: &Path, name: &str) -> Result<Vec<std::path::PathBuf>, ListError> {
    let listed = match fs::read_dir(path) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ListError { path: path.display().to_string(), source }),
    };
    let numbered = listed.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number: u32 = path.file_name()?.to_str()?.strip_prefix(name)?.parse().ok()?;
        Some((number, path))
    });
    let mut folders: Vec<_> = numbered.collect();
    folders.sort_unstable();
    Ok(folders.into_iter().map(|(_, path)| path).collect())
}

/// A channel of a hardware monitor.
fn monitor(chip: &Path, channel: u32) -> Sensor {
    let channel = format!("temp{channel}");
    let file = |what: &str| chip.join(format!("{channel}_{what}"));
    let broken = number(&file("fault")).is_ok_and(|fault| fault != 0.0);
    let limit = |what| number(&file(what)).ok().filter(|limit| (40.0..127.0).contains(limit));
    Sensor {
        chip: text(&chip.join("name")).unwrap_or_else(|| base(chip)),
        device: device(&chip.join("device")),
        label: text(&file("label")).unwrap_or_else(|| channel.clone()),
        reading: if broken { Err(Silence::Broken) } else { reading(&file("input")) },
        high: limit("max"),
        critical: limit("crit"),
        channel,
    }
}

/// A thermal zone. Its critical trip is where the kernel switches the machine off, the hot one where it warns the firmware.
fn zone(folder: &Path) -> Sensor {
    let trip = |wanted: &str| {
        let trips = (0..16).map(|nth| folder.join(format!("trip_point_{nth}_type")));
        let trip = trips
            .take_while(|path| path.exists())
            .find(|path| text(path).is_some_and(|kind| kind == wanted))?;
        let file = trip.to_str()?.strip_suffix("type")?.to_owned() + "temp";
        number(Path::new(&file)).ok().filter(|limit| (40.0..127.0).contains(limit))
    };
    Sensor {
        chip: text(&folder.join("type")).unwrap_or_else(|| base(folder)),
        device: None,
        label: base(folder),
        channel: base(folder),
        reading: reading(&folder.join("temp")),
        high: trip("hot"),
        critical: trip("critical"),
    }
}

/// What a chip belongs to: a disk by the name of its volume, anything else by its own.
fn device(link: &Path) -> Option<String> {
    let block = fs::read_dir(link.join("block")).ok().and_then(|mut disks| disks.next()?.ok());
    let name = match block {
        Some(disk) => disk.file_name(),
        None => fs::read_link(link).ok()?.file_name()?.to_owned(),
    };
    Some(plain(&name.to_string_lossy()))
}

fn reading(path: &Path) -> Result<f64, Silence> {
    let degrees = number(path)?;
    let possible = degrees > -40.0 && degrees <= 150.0 && !(127.0..=128.0).contains(&degrees);
    if possible { Ok(degrees) } else { Err(Silence::Impossible(degrees)) }
}

fn number(path: &Path) -> Result<f64, Silence> {
    degrees_of(&start(path, NUMBER).map_err(Silence::from)?).ok_or(Silence::NoNumber)
}

/// The text of a file, if there is one.
fn text(path: &Path) -> Option<String> {
    let bytes = start(path, NAME).ok()?;
    let text = plain(String::from_utf8_lossy(&bytes).trim());
    (!text.is_empty()).then_some(text)
}

fn start(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn base(path: &Path) -> String {
    plain(&path.file_name().map(OsStr::to_string_lossy).unwrap_or_default())
}

fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::NODATA | Errno::AGAIN) => Self::NoData,
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_in_thousandths() {
        for (text, degrees) in
            [("54000\n", 54.0), ("-7250", -7.25), ("0", 0.0), (" 127500 \n", 127.5)]
        {
            assert_eq!(degrees_of(text.as_bytes()), Some(degrees), "{text}");
        }
        for text in [&b""[..], b"\n", b"54.0", b"54 000", b"hot", b"\xff", b"99999999999999999999"]
        {
            assert_eq!(degrees_of(text), None);
        }
    }

    #[test]
    fn what_the_system_says_is_put_into_words() {
        for (errno, words) in [
            (Errno::NODATA, "has no reading at the moment: is what it belongs to switched off?"),
            (Errno::NODEV, "has gone"),
            (Errno::IO, "cannot be read: Input/output error (os error 5)"),
        ] {
            assert_eq!(Silence::from(io::Error::from(errno)).to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn no_number_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(degrees_of(&bytes).is_none_or(f64::is_finite));
        }

        #[test]
        fn every_number_is_read(thousandths in -300_000..300_000_i64) {
            let degrees = degrees_of(format!("{thousandths}\n").as_bytes()).expect("a number");
            prop_assert!((degrees * 1000.0 - thousandths as f64).abs() < 0.001);
        }
    }
}
