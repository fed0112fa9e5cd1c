//! Numbered checkpoints, each whole or absent.
//!
//! A checkpoint is a folder `step-<number>` of three files: `model.safetensors` (parameters and running
//! statistics), `state.safetensors` (the tensors of optimizers and balance) and `state.json` (host values,
//! and the SHA-256 of the other two). It is written under another name, synced, and only then renamed, so that
//! a process that is killed leaves the previous checkpoint and nothing half-written under a checkpoint's name.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use taskweave_kernels::{Error, Named, Result, State};

use crate::atomic::sync_folder;

const MODEL: &str = "model.safetensors";
const TENSORS: &str = "state.safetensors";
const VALUES: &str = "state.json";

/// What the names of the best parameters begin with, among the tensors of the state.
pub(crate) const BEST: &str = "best/";

/// The number of the layout, for readers to come.
const FORMAT: u32 = 1;

/// What a checkpoint holds.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Parameters and running statistics.
    pub model: Named<Tensor>,
    /// The state of everything else.
    pub state: State,
}

#[derive(Serialize, Deserialize)]
struct Values {
    format: u32,
    sha256: HashMap<String, String>,
    values: serde_json::Value,
}

impl Checkpoint {
    /// The parameters to predict with: those of the best epoch where early stopping has kept them, else the
    /// newest ones.
    pub fn best(&self) -> Named<Tensor> {
        let kept =
            self.state.tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(BEST)?, t.clone())));
        match Named::new(kept) {
            Ok(best) if !best.is_empty() => best,
            _ => self.model.clone(),
        }
    }
}

/// The checkpoints of one training, newest last. The two newest are kept.
///
/// # Example
/// ```
/// use candle_core::{Device, Tensor};
/// use taskweave_cotrain::{Checkpoint, Checkpoints};
/// use taskweave_kernels::{Named, State};
/// let root = tempfile::tempdir().unwrap();
/// let checkpoints = Checkpoints::new(root.path().join("joint"));
/// assert!(checkpoints.latest()?.is_none());
/// let model = Named::new([("weight", Tensor::new(&[1f32, 2.0], &Device::Cpu)?)])?;
/// checkpoints.save(7, &Checkpoint { model, state: State::of(&"half way")? })?;
/// let found = checkpoints.latest()?.unwrap();
/// assert_eq!(found.model["weight"].to_vec1::<f32>()?, [1.0, 2.0]);
/// assert_eq!(found.state.read::<String>("note")?, "half way");
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// The checkpoints in a folder, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Saves a checkpoint under the number of a step, and removes all but the two newest.
    ///
    /// # Errors
    /// [`Error::Io`] with the path; the checkpoints before are untouched then.
    pub fn save(&self, step: u64, checkpoint: &Checkpoint) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        self.remove_aside()?;
        let aside = self.folder.join(format!(".aside-{}", std::process::id()));
        let target = self.folder.join(format!("step-{step:010}"));
        fs::create_dir(&aside).map_err(|e| Error::io(&aside, e))?;
        self.fill(&aside, checkpoint)?;
        if target.exists() {
            self.discard(&target)?;
        }
        fs::rename(&aside, &target).map_err(|e| Error::io(&target, e))?;
        sync_folder(&self.folder)?;
        let steps = self.steps()?;
        for old in steps.iter().rev().skip(2) {
            self.discard(old)?;
        }
        Ok(())
    }

    /// The newest checkpoint, if there is one.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`] with the path of a file that cannot be read or is damaged.
    pub fn latest(&self) -> Result<Option<Checkpoint>> {
        self.steps()?.last().map(|folder| load(folder)).transpose()
    }

    fn fill(&self, folder: &Path, checkpoint: &Checkpoint) -> Result<()> {
        let mut sha256 = HashMap::new();
        for (name, tensors) in [(MODEL, &checkpoint.model), (TENSORS, &checkpoint.state.tensors)] {
            let path = folder.join(name);
            let bytes =
                safetensors::serialize(tensors.iter(), None).map_err(|e| Error::data(&path, "tensors", e))?;
            sha256.insert(name.to_string(), hash(&bytes));
            write(&path, &bytes)?;
        }
        let values = Values { format: FORMAT, sha256, values: checkpoint.state.values.clone() };
        let path = folder.join(VALUES);
        let text = serde_json::to_vec(&values).map_err(|e| Error::data(&path, "JSON", e))?;
        write(&path, &text)?;
        sync_folder(folder)
    }

    /// The folders of the checkpoints, oldest first.
    fn steps(&self) -> Result<Vec<PathBuf>> {
        let mut steps: Vec<(u64, PathBuf)> =
            self.entries("step-")?.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
        steps.sort();
        Ok(steps.into_iter().map(|(_, path)| path).collect())
    }

    /// Takes a checkpoint's name away before its files, so that it is never seen in part.
    fn discard(&self, checkpoint: &Path) -> Result<()> {
        let aside = self.folder.join(format!(".aside-old-{}", std::process::id()));
        fs::rename(checkpoint, &aside).map_err(|e| Error::io(checkpoint, e))?;
        fs::remove_dir_all(&aside).map_err(|e| Error::io(&aside, e))
    }

    /// Removes what killed processes have left.
    fn remove_aside(&self) -> Result<()> {
        self.entries(".aside-")?
            .iter()
            .try_for_each(|path| fs::remove_dir_all(path).map_err(|e| Error::io(path, e)))
    }

    fn entries(&self, prefix: &str) -> Result<Vec<PathBuf>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        let paths = paths.map_err(|e| Error::io(&self.folder, e))?;
        let named =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        Ok(paths.into_iter().filter(named).collect())
    }
}

/// The number of a checkpoint's folder; none for a folder that only has a similar name.
fn number(folder: &Path) -> Option<u64> {
    let digits = folder.file_name()?.to_str()?.strip_prefix("step-")?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What to do about a checkpoint that is spoiled.
const ADVICE: &str = "delete its folder to go on from the checkpoint before it";

fn load(folder: &Path) -> Result<Checkpoint> {
    let path = folder.join(VALUES);
    let text = fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let spoiled = |e| Error::data(&path, "a saved state", format!("{e}; {ADVICE}"));
    let values: Values = serde_json::from_slice(&text).map_err(spoiled)?;
    if values.format != FORMAT {
        return Err(Error::data(&path, format!("format {FORMAT}"), format!("format {}", values.format)));
    }
    let model = tensors(folder, MODEL, &values)?;
    let state = State { tensors: tensors(folder, TENSORS, &values)?, values: values.values };
    Ok(Checkpoint { model, state })
}

fn tensors(folder: &Path, name: &str, values: &Values) -> Result<Named<Tensor>> {
    let path = folder.join(name);
    let bytes = fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let expected = values.sha256.get(name).cloned().unwrap_or_default();
    let found = hash(&bytes);
    if found != expected {
        let found = format!("{found}; {ADVICE}");
        return Err(Error::data(&path, format!("content with SHA-256 {expected}"), found));
    }
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|e| Error::data(&path, "tensors in the safetensors format", e))?;
    Ok(Named::new(tensors)?.sorted())
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes and syncs a file of a folder that does not have its name yet.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let filled =
        File::create_new(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    filled.map_err(|e| Error::io(path, e))
}
