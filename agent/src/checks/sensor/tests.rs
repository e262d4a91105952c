//! Sensors as the kernel shows them: folders of files.

use std::{fs, os::unix::fs::symlink};

use fletchck_shared::{Severity, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::checks::{
    Before,
    testing::{faults, look_after, probe},
};

/// A folder laid out as `/sys/class` is.
struct Class(TempDir);

impl Class {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// Writes files below it, each with its text.
    fn write(&self, folder: &str, files: &[(&str, &str)]) {
        let folder = self.0.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        for (file, text) in files {
            fs::write(folder.join(file), format!("{text}\n")).expect("written");
        }
    }

    /// What the check says that is made of these options.
    async fn look(&self, options: Value) -> Outcome {
        self.look_after(options, &Before::default()).await
    }

    async fn look_after(&self, options: Value, before: &Before) -> Outcome {
        let options = options.as_object().expect("options");
        let read = |options: &mut Options<'_>| {
            Some(SensorCheck { class: self.0.path().into(), ..SensorCheck::read(options) })
        };
        let check = Options::read(options, KIND.options, read).0.expect("a check");
        look_after(&check, before).await
    }

    /// A machine with a processor, two disks, a board with an input that nothing is connected to, and a radio that is off.
    fn server() -> Self {
        let class = Self::new();
        class.write(
            "hwmon/hwmon0",
            &[
                ("name", "coretemp"),
                ("temp1_label", "Package id 0"),
                ("temp1_input", "61000"),
                ("temp1_max", "84000"),
                ("temp1_crit", "100000"),
                ("temp1_crit_alarm", "0"),
                ("temp10_label", "Core 8"),
                ("temp10_input", "59000"),
                ("temp10_max", "84000"),
                ("temp10_crit", "100000"),
                ("fan1_input", "1200"),
            ],
        );
        for (nth, disk, degrees) in [(1, "nvme0", "38850"), (2, "nvme1", "41850")] {
            let folder = format!("hwmon/hwmon{nth}");
            let files = [
                ("name", "nvme"),
                ("temp1_label", "Composite"),
                ("temp1_input", degrees),
                ("temp1_max", "81850"),
                ("temp1_crit", "84850"),
                // What it has where the disk sets none.
                ("temp2_label", "Sensor 1"),
                ("temp2_input", degrees),
                ("temp2_max", "65261850"),
            ];
            class.write(&folder, &files);
            class.write(&format!("devices/{disk}"), &[]);
            let link = class.0.path().join(folder).join("device");
            symlink(class.0.path().join("devices").join(disk), link).expect("a link");
        }
        class.write(
            "hwmon/hwmon3",
            &[
                ("name", "nct6775"),
                ("temp1_label", "SYSTIN"),
                ("temp1_input", "33000"),
                ("temp1_max", "0"),
                ("temp2_label", "CPUTIN"),
                ("temp2_input", "127500"),
                ("temp3_label", "AUXTIN"),
                ("temp3_input", "-62000"),
                ("temp4_input", "20000"),
                ("temp4_fault", "1"),
            ],
        );
        // Reading a folder is an error of the system, as reading a radio that is off is.
        class.write("hwmon/hwmon4", &[("name", "iwlwifi_1")]);
        class.write("hwmon/hwmon4/temp1_input", &[]);
        class
    }
}

#[tokio::test]
async fn without_options_each_sensor_has_its_own_limit() {
    let class = Class::server();
    let outcome = class.look(json!({})).await;
    assert_eq!(
        outcome.text,
        "of 7 sensors the nearest to its limit, coretemp Package id 0, is 61.0°C, limit 100°C"
    );
    assert_eq!((outcome.severity(), outcome.level.as_deref()), (Severity::Ok, Some("61.0°C")));
    insta::assert_snapshot!(outcome.log.join("\n"), @r"
    coretemp Package id 0: 61.0°C Target: 100°C
    coretemp Core 8: 59.0°C Target: 100°C
    nvme Sensor 1 (nvme1): 41.9°C Target: 80°C
    nvme Composite (nvme1): 41.9°C Target: 84.85°C
    nvme Sensor 1 (nvme0): 38.9°C Target: 80°C
    nvme Composite (nvme0): 38.9°C Target: 84.85°C
    nct6775 SYSTIN: 33.0°C Target: 80°C
    nct6775 CPUTIN reads 127.5°C, which cannot be: nothing is connected to it
    nct6775 AUXTIN reads -62.0°C, which cannot be: nothing is connected to it
    nct6775 temp4 reports itself that it is broken, or that nothing is connected
    iwlwifi_1 temp1 cannot be read: Is a directory (os error 21)
    ");
    class.write("hwmon/hwmon2", &[("temp1_input", "83000")]);
    let outcome = class.look(json!({})).await;
    assert_eq!(
        outcome.text,
        "of 7 sensors the nearest to its limit, nvme Composite (nvme1), is 83.0°C, over the warning at 81.85°C (limit 84.85°C)"
    );
    assert_eq!((outcome.verdict, outcome.severity()), (Verdict::Pass, Severity::Warning));
    class.write("hwmon/hwmon2", &[("temp1_input", "85000")]);
    let outcome = class.look(json!({})).await;
    assert!(outcome.text.ends_with("is 85.0°C, over the limit of 84.85°C"), "{outcome:?}");
    assert_eq!(outcome.verdict, Verdict::Fail);
    let failing = Before { failing: true, ..Before::default() };
    class.write("hwmon/hwmon2", &[("temp1_input", "83000")]);
    let outcome = class.look_after(json!({}), &failing).await;
    assert!(
        outcome.text.ends_with("is 83.0°C, well again below 82.85°C (limit 84.85°C)"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn with_a_level_the_hottest_decides() {
    let class = Class::server();
    let outcome = class.look(json!({"level": 60})).await;
    assert_eq!(
        outcome.text,
        "the hottest of 7 sensors, coretemp Package id 0, is 61.0°C, over the limit of 60°C"
    );
    assert_eq!(outcome.log[0], "coretemp Package id 0: 61.0°C Target: 60°C");
    let disks = json!({"chip": "NVME*", "label": "composite", "level": 60, "warn": 40});
    let outcome = class.look(disks).await;
    assert_eq!(
        outcome.text,
        "the hottest of 2 sensors, nvme Composite (nvme1), is 41.9°C, over the warning at 40°C (limit 60°C)"
    );
    let one = class.look(json!({"chip": "nvme0", "label": "temp1", "level": 60})).await;
    assert_eq!(one.text, "the sensor nvme Composite (nvme0) is 38.9°C, limit 60°C");
    assert_eq!(one.log, ["nvme Composite (nvme0): 38.9°C Target: 60°C"]);
}

#[tokio::test]
async fn what_gives_no_reading_is_told() {
    let class = Class::server();
    for (options, text) in [
        (
            json!({"chip": "nct6775", "label": "CPUTIN"}),
            "the sensor nct6775 CPUTIN reads 127.5°C, which cannot be: nothing is connected to it",
        ),
        (
            json!({"chip": "nct6775", "label": "[ac]*tin"}),
            "none of 2 sensors can be read: nct6775 CPUTIN reads 127.5°C, which cannot be: nothing is connected to it",
        ),
        (
            json!({"chip": "nct6775", "label": "temp4"}),
            "the sensor nct6775 temp4 reports itself that it is broken, or that nothing is connected",
        ),
        (
            json!({"chip": "iwl*"}),
            "the sensor iwlwifi_1 temp1 cannot be read: Is a directory (os error 21)",
        ),
        (
            json!({"chip": "k10temp", "label": "Tctl"}),
            "no sensor matches the chip `k10temp` and the label `Tctl`; there are coretemp Package id 0, coretemp Core 8, \
             nvme Composite (nvme0), nvme Sensor 1 (nvme0), nvme Composite (nvme1), nvme Sensor 1 (nvme1), nct6775 SYSTIN, \
             nct6775 CPUTIN and 3 more",
        ),
    ] {
        let outcome = class.look(options).await;
        assert_eq!((outcome.verdict, outcome.level), (Verdict::Fail, None));
        assert_eq!(outcome.text, text);
    }
    let some = class.look(json!({"chip": "nct6775"})).await;
    assert_eq!(some.severity(), Severity::Warning);
    assert_eq!(
        some.text,
        "the sensor nct6775 SYSTIN is 33.0°C, limit 80°C; 3 of 4 that match cannot be read: see the log"
    );
    class.write("hwmon/hwmon3", &[("temp1_input", "warm")]);
    let outcome = class.look(json!({"label": "SYSTIN"})).await;
    assert_eq!(outcome.text, "the sensor nct6775 SYSTIN gives no number");
}

#[tokio::test]
async fn disks_are_known_by_their_names() {
    let class = Class::new();
    for (nth, disk) in [(0, "sda"), (1, "sdb")] {
        class.write(
            &format!("hwmon/hwmon{nth}"),
            &[("name", "drivetemp"), ("temp1_input", "31000")],
        );
        class.write(&format!("hwmon/hwmon{nth}/device/block/{disk}"), &[]);
    }
    let outcome = class.look(json!({"chip": "sdb", "level": 50})).await;
    assert_eq!(outcome.text, "the sensor drivetemp temp1 (sdb) is 31.0°C, limit 50°C");
}

#[tokio::test]
async fn a_board_without_monitors_has_thermal_zones() {
    let class = Class::new();
    class.write("hwmon/hwmon0", &[("name", "rpi_volt"), ("in0_lcrit_alarm", "0")]);
    class.write(
        "thermal/thermal_zone0",
        &[
            ("type", "cpu-thermal"),
            ("temp", "48312"),
            ("trip_point_0_type", "passive"),
            ("trip_point_0_temp", "75000"),
            ("trip_point_1_type", "critical"),
            ("trip_point_1_temp", "110000"),
        ],
    );
    class.write("thermal/cooling_device0", &[("type", "Processor")]);
    let outcome = class.look(json!({})).await;
    assert_eq!(outcome.text, "the sensor cpu-thermal thermal_zone0 is 48.3°C, limit 110°C");
    let outcome = class.look(json!({"chip": "cpu*", "level": 45})).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    // A monitor comes first, so that nothing is listed twice.
    class.write("hwmon/hwmon1", &[("name", "cpu_thermal"), ("temp1_input", "48312")]);
    let outcome = class.look(json!({})).await;
    assert_eq!(outcome.text, "the sensor cpu_thermal temp1 is 48.3°C, limit 80°C");
}

#[tokio::test]
async fn a_machine_without_sensors_says_so() {
    let outcome = Class::new().look(json!({})).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(
        outcome.text.starts_with("this machine shows no sensor of temperatures:"),
        "{outcome:?}"
    );
    let class = Class::new();
    fs::write(class.0.path().join("hwmon"), "no folder").expect("written");
    let outcome = class.look(json!({})).await;
    assert!(outcome.text.starts_with("the sensors cannot be listed: "), "{outcome:?}");
    // Whatever machine this is, it says one of both.
    let here = look_after(&*probe("sensor", json!({})), &Before::default()).await;
    assert!(here.level.is_some() || here.verdict == Verdict::Fail, "{here:?}");
}

#[test]
fn options_are_judged() {
    for (options, wrong) in [
        (json!({"chip": "[", "label": "a**"}), vec!["chip", "label"]),
        (json!({"level": 151}), vec!["level"]),
        (json!({"level": "80"}), vec!["level"]),
        (json!({"level": 80, "warn": 80}), vec!["warn"]),
        (json!({"fan": 1}), vec!["fan"]),
    ] {
        assert_eq!(faults("sensor", options.clone()), wrong, "{options}");
    }
    assert_eq!(faults("sensor", json!({"chip": "", "level": -10})), [""; 0]);
}
