//! Reading a configuration with everything that adds to it.

use std::{
    collections::{BTreeSet, HashSet},
    env, fs, io,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;
use fletchck_shared::config::{self, Fault, Kinds, Severity, Site};
use serde_json::{Map, Value};

use super::{
    Built, LoadError, PREFIX,
    environment::overrides,
    files,
    format::{Document, Format, document},
    layer::{Layer, Merged, merge},
    lines, secrets,
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
    // A variable that is no text can be none of ours.
    let variables = env::vars_os().filter_map(|(name, value)| {
        let name =
            name.into_string().ok().filter(|name| name.to_uppercase().starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    });
    load_with(path, variables, &Built)
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
    let absolute = std::path::absolute(path)
        .map_err(|source| LoadError::Read { path: path.into(), source })?;
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_path_buf();
    let shown = path.display().to_string();
    let mut sources = BTreeSet::from([absolute.clone()]);
    let mut documents = vec![(shown.clone(), document(path)?)];
    let mut faults = fragments(path, &folder, &mut documents, &mut sources);

    let unread = faults.iter().any(|fault| fault.severity == Severity::Error);

    let failed = |source| LoadError::Merge { path: path.into(), source: Box::new(source) };
    // Most sites are one file, and laying thousands of checks over nothing takes its time.
    let alone = Merged::alone(&documents[0].1.map);
    let layers = || documents.iter().map(|(name, document)| Layer::new(name, &document.map));
    let mut merged = match documents.len() {
        1 => alone,
        _ => merge(layers().collect()).map_err(failed)?,
    };
    let (set, mut wrong) = overrides(variables, &merged.map, kinds).map_err(failed)?;
    faults.append(&mut wrong);
    if !set.is_empty() {
        let set = set.iter().map(|set| {
            Layer::value(&format!("the variable {}", set.variable), &set.keys, &set.value)
        });
        merged = merge(layers().chain(set).collect()).map_err(failed)?;
    }
    let mut read = secrets::read(&mut merged, &folder);
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
    let mut unusable = files::unusable(&site);
    for fault in &mut unusable {
        fault.file = Some(origin(&merged, &fault.path).unwrap_or(&shown).to_owned());
    }
    for (name, document) in &documents {
        add_lines(name, document, &mut faults);
        add_lines(name, document, &mut unusable);
    }
    let (_, Document { format, map: document, .. }) = documents.swap_remove(0);
    Ok(Loaded { path: absolute, folder, format, document, site, faults, unusable, sources })
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

/// The files of `conf.d` beside the configuration, in the order of their names. One that cannot be read is a fault, and
/// the others count.
fn fragments(
    path: &Path,
    folder: &Path,
    documents: &mut Vec<(String, Document)>,
    sources: &mut BTreeSet<PathBuf>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let shown = path.parent().map(|parent| parent.join("conf.d")).unwrap_or("conf.d".into());
    let mut names = match names(&folder.join("conf.d")) {
        Ok(names) => names,
        Err(e) => {
            faults.push(Fault {
                file: Some(shown.display().to_string()),
                ..Fault::error(
                    "the folder",
                    format!("cannot be read: {e}"),
                    "a folder that can be read",
                )
            });
            return faults;
        }
    };
    names.sort();
    for name in names {
        let (file, shown) = (folder.join("conf.d").join(&name), shown.join(&name));
        match document(&file) {
            Ok(document) => documents.push((shown.display().to_string(), document)),
            Err(e) => {
                faults.push(
                    e.fault(shown.display().to_string(), "mend it, or take it out of conf.d"),
                );
            }
        }
        sources.insert(file);
    }
    faults
}

fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = PathBuf::from(entry?.file_name());
        if is_fragment(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether a file in `conf.d` counts, by its name. Editors keep theirs there too.
pub(super) fn is_fragment(name: &Path) -> bool {
    let hidden = name.to_string_lossy().starts_with('.');
    let extension = name.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("json" | "toml"))
}

/// Makes paths of files begin at the configuration's folder, wherever the program was started.
fn from_folder(site: &mut Site, folder: &Path) {
    let web = site.webui.iter_mut().flat_map(|web| [&mut web.cert, &mut web.key]);
    let link = site.mqtt.iter_mut().map(|mqtt| &mut mqtt.ca_file);
    let listeners = site.broker.iter_mut().flat_map(|broker| &mut broker.listeners);
    let listeners = listeners.flat_map(|listener| [&mut listener.cert, &mut listener.key]);
    for path in web.chain(link).chain(listeners).flatten() {
        *path = folder.join(&path);
    }
}
