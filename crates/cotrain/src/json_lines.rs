//! A file of JSON lines that grows along with a training.
//!
//! A line is written at once, so that a process that is killed leaves whole lines and at most one unfinished one, which is
//! dropped when the file is opened again. A training that resumes opens the file at its step: lines from that step on are
//! dropped, because they are going to be written anew, and so no step has two lines.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result};

use crate::atomic;

/// Appends values with a `step` to a file, one JSON object a line, in the order of the steps.
///
/// # Example
/// ```
/// use serde::{Deserialize, Serialize};
/// use taskweave_cotrain::JsonLines;
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Line { step: u64, loss: f64 }
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("losses.jsonl");
/// let mut lines = JsonLines::open(&path, 0)?;
/// (0..4).try_for_each(|step| lines.append(&Line { step, loss: 1.0 }))?;
/// // The training is started again from a checkpoint at step 2.
/// let mut lines = JsonLines::open(&path, 2)?;
/// lines.append(&Line { step: 2, loss: 0.5 })?;
/// let steps: Vec<u64> = JsonLines::read::<Line>(&path)?.iter().map(|line| line.step).collect();
/// assert_eq!(steps, [0, 1, 2]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
}

/// What every line has.
#[derive(Deserialize)]
struct At {
    step: u64,
}

impl JsonLines {
    /// Opens a file for the steps from `step` on: what it holds of these is dropped, as is an unfinished last line. The
    /// folder is created where it is missing.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, [`Error::Data`] with the line that holds no `step`.
    pub fn open(path: impl AsRef<Path>, step: u64) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        if path.exists() {
            let (text, length) = whole_lines(&path)?;
            let mut kept = String::new();
            for (at, line) in parsed::<At>(&path, &text) {
                if at?.step < step {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
            if kept.len() != length {
                atomic::write(&path, kept.as_bytes())?;
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|e| Error::io(&path, e))?;
        Ok(Self { path, file })
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, [`Error::State`] for what cannot be written as JSON.
    pub fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line).map_err(|e| Error::state("a line", "JSON values", e))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(|e| Error::io(&self.path, e))
    }

    /// Makes what was written durable, so that a power cut does not take it.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io(&self.path, e))
    }

    /// The lines of a file in order, without an unfinished last one.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, [`Error::Data`] with the line that is no `T`.
    pub fn read<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Vec<T>> {
        let (text, _) = whole_lines(path.as_ref())?;
        parsed(path.as_ref(), &text).map(|(line, _)| line).collect()
    }
}

/// The whole lines of a file, and how many bytes it has with an unfinished one.
fn whole_lines(path: &Path) -> Result<(String, usize)> {
    let mut bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
    let length = bytes.len();
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    let text = String::from_utf8(bytes).map_err(|e| Error::data(path, "text", e))?;
    Ok((text, length))
}

fn parsed<'a, T: DeserializeOwned>(
    path: &'a Path,
    text: &'a str,
) -> impl Iterator<Item = (Result<T>, &'a str)> {
    text.lines().enumerate().map(move |(i, line)| {
        let value = serde_json::from_str(line)
            .map_err(|e| Error::data(path, format!("a line of JSON with its fields in line {}", i + 1), e));
        (value, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn steps(path: &Path) -> Vec<u64> {
        JsonLines::read::<At>(path).unwrap().iter().map(|line| line.step).collect()
    }

    #[test]
    fn an_unfinished_line_is_dropped_and_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner").join("lines.jsonl");
        let mut lines = JsonLines::open(&path, 0).unwrap();
        (0..3).for_each(|step| lines.append(&json!({ "step": step, "text": "ä" })).unwrap());
        let whole = fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let before = steps(&path);
            let mut lines = JsonLines::open(&path, 9).unwrap();
            lines.append(&json!({ "step": 9 })).unwrap();
            assert_eq!(steps(&path), [before, vec![9]].concat(), "{cut} bytes");
        }
    }

    #[test]
    fn a_finished_file_stays_as_it_is_and_a_fresh_training_empties_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let mut lines = JsonLines::open(&path, 0).unwrap();
        (0..3).for_each(|step| lines.append(&json!({ "step": step })).unwrap());
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let before = modified();
        drop(JsonLines::open(&path, 3).unwrap());
        assert_eq!((modified(), steps(&path)), (before, vec![0, 1, 2]));
        drop(JsonLines::open(&path, 0).unwrap());
        assert!(steps(&path).is_empty());
    }

    #[test]
    fn damage_names_the_file_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        fs::write(&path, "{\"step\": 0}\nnonsense\n{\"step\": 2}\n").unwrap();
        for error in [JsonLines::open(&path, 5).unwrap_err(), JsonLines::read::<Value>(&path).unwrap_err()] {
            assert!(matches!(&error, Error::Data { path: found, .. } if *found == path));
            assert!(error.to_string().contains("in line 2"), "{error}");
        }
        let missing = folder.path().join("missing.jsonl");
        assert!(matches!(JsonLines::read::<Value>(&missing), Err(Error::Io { path, .. }) if path == missing));
    }
}
