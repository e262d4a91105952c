//! `fletchck`: agent, hub and standalone site in one program.

use std::{path::Path, process::ExitCode};

use anyhow::bail;
use fletchck::{
    cli::{Args, Command, Profile, add_agent, alerts, args, completions, init, merge, passwd},
    run,
};
use fletchck_agent::{chain, config::Built, once, say};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::read(std::env::args_os()).unwrap_or_else(|told| told.exit());
    if let Err(reason) = fletchck_agent::install_crypto() {
        say::err(format_args!("fletchck: {reason}"));
        return ExitCode::FAILURE;
    }
    carry_out(&args).await.unwrap_or_else(|reason| {
        say::err(format_args!("fletchck: {}", chain(reason.as_ref())));
        ExitCode::FAILURE
    })
}

async fn carry_out(args: &Args) -> anyhow::Result<ExitCode> {
    let file = args.file();
    match &args.command {
        None | Some(Command::Run) => start(args).await?,
        Some(Command::Init { profile, replace }) => {
            let wanted = init::Wanted {
                profile: *profile,
                port: args.port,
                webui: args.webui,
                replace: *replace,
            };
            init::init(&args.new_file(), wanted)?;
        }
        Some(Command::CheckConfig { file: other }) => {
            return once::check_config(other.as_deref().unwrap_or(&file), &Built);
        }
        Some(Command::Check { name, explain }) => {
            return once::check(&file, &Built, name, *explain).await;
        }
        Some(Command::List) => return once::list(&file, &Built),
        Some(Command::Merge { file: import }) => merge::merge(&file, import)?,
        Some(Command::Export) => {
            let once::Export { document, warnings } = once::export(&file)?;
            warnings.iter().for_each(|warning| say::err(format_args!("warning: {warning}")));
            say::out(&format!("{document:#}\n"))?;
        }
        Some(Command::Passwd { user }) => passwd::passwd(&file, user)?,
        Some(Command::AddAgent { name, address, output, replace }) => {
            let wanted = add_agent::Wanted {
                name: name.clone(),
                address: address.clone(),
                output: output.clone(),
                replace: *replace,
            };
            add_agent::add_agent(&file, &wanted)?;
        }
        Some(
            command @ (Command::Ack { .. }
            | Command::Unack { .. }
            | Command::Snooze { .. }
            | Command::Silence(_)
            | Command::Maintenance(_)
            | Command::EndSilence { .. }
            | Command::Alerts
            | Command::Resend { .. }
            | Command::Action { .. }),
        ) => return alerts::alerts(&file, command).await,
        Some(Command::Completions { shell }) => completions::completions(*shell)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the site, and makes one before where it is asked for or where there is none at all.
async fn start(args: &Args) -> anyhow::Result<()> {
    let mut file = args.file();
    let first = args.config.is_none()
        && !Path::new(args::FILE).exists()
        && !file.exists()
        && args.merge.is_none();
    if args.init || first {
        if args.init {
            file = args.new_file();
        }
        let wanted = init::Wanted {
            profile: Profile::Standalone,
            port: args.port,
            webui: args.webui,
            replace: false,
        };
        init::init(&file, wanted)?;
        if args.init {
            // As the original does: a site that was made is looked at before it runs.
            return Ok(());
        }
    }
    if !file.exists() {
        bail!("{} is not there; `fletchck init` makes a site", file.display());
    }
    if let Some(import) = &args.merge {
        merge::merge(&file, import)?;
    }
    run::run(&file, args).await
}
