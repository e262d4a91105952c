//! Reading a configuration with everything that adds to it.

use std::{
    collections::{BTreeSet, HashSet},
    env,
    path::{Path, PathBuf},
};

use fletchck_shared::Tz;
use fletchck_shared::config::{self, Fault, Kinds, Severity, Site};
use serde_json::{Map, Value};

use super::{
    Built, LoadError, PREFIX, files,
    format::{Document, Format},
    gather::Gathered,
    layer::Merged,
    lines, secrets, usable,
};

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The file, as an absolute path.
    pub path: PathBuf,
    /// The folder it lies in; relative paths of the configuration begin there.
    pub folder: PathBuf,
    /// The language it is written in.
    pub format: Format,
    /// What the file itself says, and nothing from elsewhere.
    pub document: Map<String, Value>,
    /// What runs.
    pub site: Site,
    /// All that is wrong, each with the file it stands in.
    pub faults: Vec<Fault>,
    /// The same of certificates and keys that it names. They may come later, and whoever needs them waits for them; so they
    /// keep nothing from being taken over.
    pub unusable: Vec<Fault>,
    /// Every file that was read, secrets included.
    pub sources: BTreeSet<PathBuf>,
    /// Port of the pages, as the configuration has it.
    pub(super) page_port: Option<u16>,
}

impl Loaded {
    /// Whether every part of it runs.
    pub fn sound(&self) -> bool {
        self.faults.iter().chain(&self.unusable).all(|fault| fault.severity < Severity::Error)
    }

    /// The faults that would keep a part from running that `running`, the faults of the configuration that runs, does not
    /// keep from it. Without any, this configuration may take its place: what was faulty and still is must not stand in
    /// the way of every other change.
    pub fn breaks<'a>(&'a self, running: &'a [Fault]) -> impl Iterator<Item = &'a Fault> {
        let known: HashSet<(&str, &str)> =
            running.iter().map(|fault| (fault.path.as_str(), fault.wrong.as_str())).collect();
        self.faults.iter().filter(move |fault| {
            fault.severity == Severity::Error
                && !known.contains(&(fault.path.as_str(), fault.wrong.as_str()))
        })
    }
}

/// Reads a configuration with the fragments beside it and the variables of this process.
///
/// # Errors
/// The file is no configuration at all. Faults of its parts are no error: they stand in [`Loaded::faults`].
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_for(path, &Built)
}

/// Reads a configuration as [`load`] does, for a program that runs these types of checks and actions.
///
/// # Errors
/// As [`load`].
pub fn load_for(path: &Path, kinds: &impl Kinds) -> Result<Loaded, LoadError> {
    load_with(path, variables(), kinds)
}

/// Reads a configuration as [`load_for`] does, on a thread where that may take its time: a file of thousands of checks must
/// not hold up those that run.
///
/// # Errors
/// As [`load_for`].
pub async fn load_aside(
    path: &Path,
    kinds: impl Kinds + Send + 'static,
) -> Result<Loaded, LoadError> {
    let own = path.to_path_buf();
    let loaded = tokio::task::spawn_blocking(move || load_for(&own, &kinds)).await;
    loaded.unwrap_or_else(|_| {
        let source = std::io::Error::other("the reading broke down; please report this");
        Err(LoadError::Read { path: path.into(), source })
    })
}

/// Those of this process that may be ours. One that is no text is none.
fn variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| {
        let name =
            name.into_string().ok().filter(|name| name.to_uppercase().starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// Reads a configuration with the fragments beside it, these variables, and these types of checks and actions.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    path: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
    kinds: &impl Kinds,
) -> Result<Loaded, LoadError> {
    Ok(Gathered::read(path, variables, kinds)?.load(kinds))
}

/// A configuration, with all that was said of it as one document, and where secrets that are not in it come from.
pub type Whole = (Loaded, Map<String, Value>, Vec<String>);

/// As [`load`], with all that the file, the fragments and the variables say together, as one document. Secrets of variables
/// and of files of their own are not in it; the paths of those that come from variables stand beside it.
///
/// # Errors
/// As [`load`].
pub fn load_whole(path: &Path) -> Result<Whole, LoadError> {
    let gathered = Gathered::read(path, variables(), &Built)?;
    let (whole, secrets) = gathered.whole()?;
    Ok((gathered.load(&Built), whole, secrets))
}

impl Gathered {
    /// Makes types of what was gathered.
    fn load(self, kinds: &impl Kinds) -> Loaded {
        let Self {
            path,
            folder,
            shown,
            mut documents,
            mut merged,
            mut faults,
            mut sources,
            unread,
            ..
        } = self;
        let mut read = secrets::read(&mut merged, &folder);
        files::from_folder(&mut merged.map, &folder);
        let (mut site, mut found) =
            config::read(&Value::Object(std::mem::take(&mut merged.map)), kinds, host_zone());
        found.append(&mut read.warnings);
        sources.append(&mut read.files);
        for fault in &mut found {
            if let Some((_, why)) = read.unread.iter().find(|(at, _)| *at == fault.path) {
                fault.wrong.clone_from(why);
            }
            fault.file = Some(origin(&merged, &fault.path).unwrap_or(&shown).to_owned());
        }
        faults.append(&mut found);
        faults.extend(documents.iter().flat_map(twice));
        site.incomplete |= unread;
        from_folder(&mut site, &folder);
        let mut unusable = usable::unusable(&site);
        for fault in &mut unusable {
            fault.file = Some(origin(&merged, &fault.path).unwrap_or(&shown).to_owned());
        }
        for (name, document) in &documents {
            add_lines(name, document, &mut faults);
            add_lines(name, document, &mut unusable);
        }
        let page_port = site.webui.as_ref().map(|web| web.port);
        let (_, Document { format, map: document, .. }) = documents.swap_remove(0);
        Loaded { path, folder, format, document, site, faults, unusable, sources, page_port }
    }
}

fn twice((name, document): &(String, Document)) -> impl Iterator<Item = Fault> {
    lines::twice(document).into_iter().map(move |(path, line)| Fault {
        file: Some(format!("{name}:{line}")),
        ..Fault::warning(
            path,
            "this key stands here twice, and the last counts",
            "keep one of them",
        )
    })
}

/// Names the line of each fault in a file, where it has one.
fn add_lines(name: &str, document: &Document, faults: &mut [Fault]) {
    let mut here = faults.iter_mut().filter(|fault| fault.file.as_deref() == Some(name)).peekable();
    if here.peek().is_none() {
        return;
    }
    let lines = lines::lines(document);
    for fault in here {
        if let Some(line) = lines::nearest(&lines, &fault.path) {
            fault.file = Some(format!("{name}:{line}"));
        }
    }
}

/// The zone of this machine.
pub fn host_zone() -> Tz {
    let name = iana_time_zone::get_timezone().ok();
    name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// Where the value came from that a fault is about.
fn origin<'a>(merged: &'a Merged, path: &str) -> Option<&'a str> {
    merged.origin(path).or_else(|| {
        // What is missing stands nowhere, but that which lacks it does.
        let (above, _) = path.rsplit_once('.')?;
        above.contains('.').then(|| merged.origin(above)).flatten()
    })
}

/// Makes paths of files begin at the configuration's folder, wherever the program was started.
fn from_folder(site: &mut Site, folder: &Path) {
    let web = site.webui.iter_mut().flat_map(|web| [&mut web.cert, &mut web.key]);
    let link = site.mqtt.iter_mut().map(|mqtt| &mut mqtt.ca_file);
    let heartbeat = site.heartbeat.iter_mut().map(|heartbeat| &mut heartbeat.ca_file);
    let listeners = site.broker.iter_mut().flat_map(|broker| &mut broker.listeners);
    let listeners = listeners.flat_map(|listener| [&mut listener.cert, &mut listener.key]);
    for path in web.chain(link).chain(heartbeat).chain(listeners).flatten() {
        *path = folder.join(&path);
    }
}
