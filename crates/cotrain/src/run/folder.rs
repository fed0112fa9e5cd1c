//! A run's folder and the configuration that it belongs to.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use taskweave_kernels::{Error, Result};

use super::Checkpoints;
use crate::atomic;

/// A folder with the results of one configuration.
///
/// The configuration is written to `config.json` first. Opening the folder again with an equal configuration goes
/// on with the run; with another one it is an error, so that results never mix.
///
/// # Example
/// ```
/// use taskweave_cotrain::Run;
/// let root = tempfile::tempdir().unwrap();
/// let run = Run::open(root.path().join("mine"), &("epochs", 3))?;
/// assert_eq!(Run::config::<(String, u32)>(run.root())?, ("epochs".into(), 3));
/// assert!(Run::open(run.root(), &("epochs", 3)).is_ok());
/// assert!(Run::open(run.root(), &("epochs", 4)).is_err());
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Run {
    root: PathBuf,
}

impl Run {
    /// Creates the folder, or opens it where it belongs to an equal configuration.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be written, [`Error::State`] for one of another configuration.
    pub fn open(root: impl AsRef<Path>, config: &impl Serialize) -> Result<Self> {
        let root = root.as_ref().to_path_buf();
        let wanted = serde_json::to_value(config).map_err(|e| Error::data(&root, "a configuration", e))?;
        fs::create_dir_all(&root).map_err(|e| Error::io(&root, e))?;
        let path = root.join("config.json");
        if path.exists() {
            let found: serde_json::Value = Self::config(&root)?;
            if found != wanted {
                let (expected, found) = difference(&wanted, &found);
                return Err(Error::state(format!("run folder {}", root.display()), expected, found));
            }
        } else {
            let text = serde_json::to_string_pretty(&wanted).map_err(|e| Error::data(&path, "JSON", e))?;
            atomic::write(&path, text.as_bytes())?;
        }
        Ok(Self { root })
    }

    /// The configuration of the run in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder without a run, [`Error::Data`] for a configuration of another form.
    pub fn config<T: DeserializeOwned>(root: impl AsRef<Path>) -> Result<T> {
        let path = root.as_ref().join("config.json");
        let text = fs::read(&path).map_err(|e| Error::io(&path, e))?;
        serde_json::from_slice(&text).map_err(|e| Error::data(&path, "the configuration of a run", e))
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file of the run, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        atomic::write(&self.path(name), bytes)
    }

    /// The checkpoints of one training of this run.
    pub fn checkpoints(&self, training: &str) -> Checkpoints {
        Checkpoints::new(self.path("checkpoints").join(training))
    }
}

/// The first entries that differ, each with its path.
fn difference(wanted: &serde_json::Value, found: &serde_json::Value) -> (String, String) {
    let (mut wanted, mut found, mut path) = (wanted, found, String::from("configuration"));
    while let (Some(a), Some(b)) = (wanted.as_object(), found.as_object()) {
        let Some(key) = a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key)) else { break };
        path = format!("{path}.{key}");
        wanted = a.get(key).unwrap_or(&serde_json::Value::Null);
        found = b.get(key).unwrap_or(&serde_json::Value::Null);
    }
    (format!("{path} = {wanted}"), found.to_string())
}
