//! The check `sensor` beside psutil, on the machine's own sensors and on those of another.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::systemd::namespaces;
use fletchck_tests::{look, original};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Prints chip, label, °C, highest and critical of each sensor.
const PSUTIL: &str = "import psutil,json\n\
    print(json.dumps([[chip, *s] for chip, all in psutil.sensors_temperatures().items() for s in all]))";

#[tokio::test]
async fn sensors_are_those_that_psutil_reads() -> Result<()> {
    if !namespaces("mount -t tmpfs none /sys/class")? {
        eprintln!(
            "SKIPPED: no sensors can be put in the place of this machine's, for that takes root"
        );
        return Ok(());
    }
    let dir = TempDir::new()?;
    let chips: &[&[(&str, &str)]] = &[
        &[
            ("name", "k10temp"),
            ("temp1_label", "Tctl"),
            ("temp1_input", "57125"),
            ("temp3_label", "Tccd1"),
            ("temp3_input", "49250"),
        ],
        &[
            ("name", "nvme"),
            ("temp1_label", "Composite"),
            ("temp1_input", "38850"),
            ("temp1_max", "81850"),
            ("temp1_crit", "84850"),
        ],
        &[("name", "acpitz"), ("temp1_input", "27800"), ("temp1_crit", "119000")],
    ];
    for (nth, files) in chips.iter().enumerate() {
        let folder = dir.path().join(format!("hwmon/hwmon{nth}"));
        fs::create_dir_all(&folder)?;
        for (file, text) in *files {
            fs::write(folder.join(file), format!("{text}\n"))?;
        }
    }
    let site = Fletchck::prepare(Program::Agent, &json!({"checks": {"warm": {"type": "sensor"}}}))?;
    let script = format!(
        "set -e; mount -t tmpfs none /sys/class; cp -r {}/hwmon /sys/class/; \"$PYTHON\" -c \"$SCRIPT\"; \
         \"$AGENT\" --config {} check warm",
        dir.path().display(),
        site.config_path().display()
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .env("PYTHON", original::python())
        .env("SCRIPT", PSUTIL)
        .env("AGENT", Program::Agent.path()?)
        .output()?;
    let output = String::from_utf8(output.stdout)?;
    println!("{output}");
    let (theirs, ours) = output.split_once('\n').context("two answers")?;
    let theirs: Vec<Value> = serde_json::from_str(theirs)?;
    ensure!(theirs.len() == 4, "{theirs:?}");
    for sensor in theirs {
        let label = sensor[1].as_str().filter(|label| !label.is_empty()).unwrap_or("temp1");
        let degrees = sensor[2].as_f64().context("a temperature")?;
        let limit = sensor[4].as_f64().unwrap_or(80.0);
        let chip = sensor[0].as_str().context("a chip")?;
        let line = format!("{chip} {label}: {degrees:.1}°C Target: {limit}°C");
        ensure!(ours.contains(&line), "{line}");
    }
    // 57.125 of 80 is more than 38.85 of 84.85.
    let text = "of 4 sensors the nearest to its limit, k10temp Tctl, is 57.1°C, limit 80°C";
    ensure!(ours.contains(text), "{ours}");
    Ok(())
}

#[tokio::test]
async fn this_machines_sensors_are_those_that_psutil_reads() -> Result<()> {
    let output = Command::new(original::python()).args(["-c", PSUTIL]).output()?;
    let theirs: Value = serde_json::from_slice(&output.stdout).context("what Python says")?;
    let ours = look::ours("sensor", &json!({"level": 149})).await?;
    let credible =
        |sensor: &Value| sensor[2].as_f64().filter(|degrees| (-39.0..127.0).contains(degrees));
    let hottest =
        theirs.as_array().context("a list")?.iter().filter_map(credible).max_by(f64::total_cmp);
    match (hottest, ours.level.as_deref()) {
        (None, None) => {
            eprintln!("SKIPPED: this machine has no sensors");
            ensure!(
                ours.text.starts_with("this machine shows no sensor of temperatures"),
                "{ours:?}"
            );
        }
        (Some(theirs), Some(ours)) => {
            let degrees: f64 = ours.trim_end_matches("°C").parse()?;
            // It goes up and down by some degrees within a moment.
            ensure!((degrees - theirs).abs() <= 10.0, "{ours}, psutil {theirs}");
        }
        other => anyhow::bail!("{other:?}: {ours:?}"),
    }
    Ok(())
}
