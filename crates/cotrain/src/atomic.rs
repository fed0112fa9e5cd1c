//! Writing a file whole or not at all.
//!
//! The bytes go into a new file beside the target, are synced to the disk, and only then take the target's
//! name; last, the folder is synced, so that the new name survives a power cut. Whoever opens the target at any
//! moment reads the old content or the new one, never a part. A process that is killed before the rename leaves
//! the target as it was and one hidden `.NAME.PID-COUNT.part` beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use taskweave_kernels::{Error, Result};

/// Writes `bytes` to `path`, whole or not at all. The folder must exist.
///
/// # Errors
/// [`Error::Io`] with `path`; the old content, if any, is untouched then and nothing is left beside it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = beside(path).map_err(|e| Error::io(path, e))?;
    let written = fill(&aside, bytes).and_then(|()| fs::rename(&aside, path));
    if let Err(reason) = written {
        // What cannot be written may not be removable either; the first reason is the one to report.
        let _ = fs::remove_file(&aside);
        return Err(Error::io(path, reason));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

/// A free hidden name in the folder of `path`: two writers of one path never share it.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(path.with_file_name(format!(".{name}.{}-{count}.part", std::process::id())))
}

fn fill(aside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(aside)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder durable. Windows has no handle to sync for a folder; its rename is durable by
/// itself.
///
/// # Errors
/// [`Error::Io`] with the folder.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    match cfg!(unix) {
        true => File::open(folder).and_then(|file| file.sync_all()).map_err(|e| Error::io(folder, e)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_new_content_replaces_the_old_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"a longer first content").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_failed_write_names_the_path_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no such folder").join("a.json");
        let error = write(&missing, b"x").unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if *path == missing), "{error}");

        // A folder with something in it cannot be replaced by a file: the rename is what fails here.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), b"y").unwrap();
        assert!(matches!(write(&taken, b"x"), Err(Error::Io { .. })));
        assert_eq!(names(folder.path()), ["taken"]);
        assert!(matches!(write(Path::new("/"), b"x"), Err(Error::Io { .. })));
    }

    // Windows refuses a rename for the instant in which another one of the same target is under way.
    #[cfg(unix)]
    #[test]
    fn readers_never_see_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        let contents = [vec![b'a'; 1 << 16], vec![b'b'; 1 << 15]];
        write(&path, &contents[0]).unwrap();
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| (0..10).for_each(|_| write(&path, content).unwrap()));
            }
            for _ in 0..200 {
                assert!(contents.contains(&fs::read(&path).unwrap()));
            }
        });
        assert_eq!(names(folder.path()), ["shared"]);
    }
}
