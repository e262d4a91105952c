//! `fletchck-agent`: runs checks and publishes them, without broker and pages.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use fletchck_agent::{
    chain,
    config::{self, BuiltAgent, Watch},
    once, say,
    service::{Service, log_to_stderr, raise_file_limit},
};
use fletchck_shared::CheckName;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// Runs the checks of one machine and publishes their state over MQTT.
#[derive(Debug, Parser)]
#[command(name = "fletchck-agent", version, max_term_width = 100)]
struct Args {
    /// Configuration file
    #[arg(long, short, global = true, default_value = "fletchck.conf", value_name = "FILE")]
    config: PathBuf,

    /// What to do [default: run]
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the checks
    Run,
    /// Tell all that is wrong with a configuration; exit 1 if a part of it does not run
    CheckConfig {
        /// The configuration, instead of the one of --config
        file: Option<PathBuf>,
    },
    /// Run one check once: phases, log and verdict; exit 1 if it fails
    Check {
        /// Name of the check
        name: CheckName,
        /// Print what was said and answered as well, without secrets
        #[arg(long)]
        explain: bool,
    },
    /// List the checks and how they stood last
    List,
}

// One thread is enough for the checks of one machine, and half the memory of two.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(reason) = fletchck_agent::install_crypto() {
        say::err(format_args!("fletchck-agent: {reason}"));
        return ExitCode::FAILURE;
    }
    let done = match &args.command {
        None | Some(Command::Run) => run(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Command::CheckConfig { file }) => {
            once::check_config(file.as_ref().unwrap_or(&args.config), &BuiltAgent)
        }
        Some(Command::Check { name, explain }) => {
            once::check(&args.config, &BuiltAgent, name, *explain).await
        }
        Some(Command::List) => once::list(&args.config, &BuiltAgent),
    };
    done.unwrap_or_else(|reason| {
        say::err(format_args!("fletchck-agent: {}", chain(reason.as_ref())));
        ExitCode::FAILURE
    })
}

async fn run(args: &Args) -> anyhow::Result<()> {
    log_to_stderr();
    raise_file_limit();
    let loaded = config::load_for(&args.config, &BuiltAgent)?;
    let site = &loaded.site;
    let hears = site.mqtt.as_ref().is_some_and(|mqtt| mqtt.base_topic.is_some());
    if site.webui.is_some() || site.broker.is_some() || hears {
        warn!(
            "pages, a broker and `basetopic` need `fletchck`; this is `fletchck-agent`, which only runs checks"
        );
    }
    let path = loaded.path.clone();
    let mut watch = Watch::new(&path)?;
    // Before anything starts: a signal during the start is one too.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut service = Service::start(loaded, None).await?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            // Whoever started it starts it again; a monitor that only looks alive helps nobody.
            reason = service.broken() => return Err(reason),
            _ = watch.changed() => match config::load_aside(&path, BuiltAgent).await {
                Ok(loaded) => _ = service.reload(loaded).await,
                Err(reason) => service.unread(&reason),
            },
        }
    }
    info!("stopping");
    service.stop().await;
    Ok(())
}
