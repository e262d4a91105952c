//! Everything that a configuration is read from, laid over each other.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use fletchck_shared::config::{self as shared, Fault, Kinds, SECRETS, Severity};
use serde_json::{Map, Value};

use super::{
    LoadError,
    environment::{Override, overrides},
    format::{Document, document},
    layer::{Layer, Merged, merge},
};

/// What the sources of a configuration say, before secrets are read and types are made.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The file, as an absolute path.
    pub(super) path: PathBuf,
    /// The folder it lies in.
    pub(super) folder: PathBuf,
    /// The file as its owner named it.
    pub(super) shown: String,
    /// The file and the fragments, each under its name.
    pub(super) documents: Vec<(String, Document)>,
    variables: Vec<Override>,
    /// All of it together.
    pub(super) merged: Merged,
    pub(super) faults: Vec<Fault>,
    /// Every file that was read.
    pub(super) sources: BTreeSet<PathBuf>,
    /// Whether a fragment could not be read.
    pub(super) unread: bool,
}

impl Gathered {
    /// Reads the file, the fragments beside it and these variables.
    pub(super) fn read(
        path: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
        kinds: &impl Kinds,
    ) -> Result<Self, LoadError> {
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
        let mut merged = match documents.len() {
            1 => alone,
            _ => merge(layers(&documents).collect()).map_err(failed)?,
        };
        let (variables, mut wrong) = overrides(variables, &merged.map, kinds).map_err(failed)?;
        faults.append(&mut wrong);
        if !variables.is_empty() {
            let set = variables.iter().map(|set| set.layer(&set.value));
            merged = merge(layers(&documents).chain(set).collect()).map_err(failed)?;
        }
        Ok(Self {
            path: absolute,
            folder,
            shown,
            documents,
            variables,
            merged,
            faults,
            sources,
            unread,
        })
    }

    /// All of it as one document, without the secrets of variables, and the paths of these.
    pub(super) fn whole(&self) -> Result<(Map<String, Value>, Vec<String>), LoadError> {
        let mut left_out = Vec::new();
        let mut set = Vec::new();
        for variable in &self.variables {
            let path = variable.keys.iter().fold(shared::Path::root(), |path, key| path.key(key));
            if let Some(value) = open(&variable.value, &path, &variable.keys, &mut left_out) {
                set.push(variable.layer(&value));
            }
        }
        let failed =
            |source| LoadError::Merge { path: self.path.clone(), source: Box::new(source) };
        let map = match (self.documents.as_slice(), set.as_slice()) {
            ([(_, alone)], []) => alone.map.clone(),
            _ => merge(layers(&self.documents).chain(set).collect()).map_err(failed)?.map,
        };
        Ok((map, left_out))
    }
}

impl Override {
    fn layer(&self, value: &Value) -> Layer {
        Layer::value(&format!("the variable {}", self.variable), &self.keys, value)
    }
}

fn layers(documents: &[(String, Document)]) -> impl Iterator<Item = Layer> {
    documents.iter().map(|(name, document)| Layer::new(name, &document.map))
}

/// What of a value, which belongs to these keys, is no secret; the paths of the rest.
fn open(
    value: &Value,
    path: &shared::Path,
    keys: &[String],
    left_out: &mut Vec<String>,
) -> Option<Value> {
    let secret = keys.last().is_some_and(|key| SECRETS.contains(&key.as_str()))
        || matches!(keys, [section, users, _] if section == "webui" && users == "users")
        || matches!(keys, [.., table, _] if table == "headers");
    if secret {
        left_out.push(path.to_string());
        return None;
    }
    let Value::Object(map) = value else { return Some(value.clone()) };
    let entries = map.iter().filter_map(|(key, value)| {
        let keys = [keys, std::slice::from_ref(key)].concat();
        Some((key.clone(), open(value, &path.key(key), &keys, left_out)?))
    });
    Some(Value::Object(entries.collect()))
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
                let text = format!("{:#}", anyhow::Error::from(e));
                // The fault names the file already.
                let name = file.display().to_string();
                let wrong =
                    text.strip_prefix(&name).unwrap_or(&text).trim_start_matches([':', ' ']);
                faults.push(Fault {
                    file: Some(shown.display().to_string()),
                    ..Fault::error("the file", wrong, "mend it, or take it out of conf.d")
                });
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
