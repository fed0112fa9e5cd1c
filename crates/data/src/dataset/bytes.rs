//! Reading a file whole, plain or gzip-compressed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use taskweave_kernels::{Error, Result};

/// No file of the formats read here is larger, and no compressed one is inflated further.
const MOST: u64 = 1 << 30;

/// `path` if it exists, else `path.gz` if that does.
pub(super) fn find(path: &Path) -> Option<PathBuf> {
    let mut compressed = OsString::from(path);
    compressed.push(".gz");
    [path.to_path_buf(), compressed.into()].into_iter().find(|path| path.is_file())
}

/// The first `most` bytes at the most, inflated where the name ends in `.gz`. Memory grows with what the file
/// really holds, never with what it claims.
///
/// # Errors
/// [`Error::Io`] for a file that cannot be read, [`Error::Data`] for one that is not gzip or is cut off.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let most = most.min(MOST);
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let read = MultiGzDecoder::new(file).take(most).read_to_end(&mut bytes);
        read.map_err(|e| match e.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Error::data(path, "a whole gzip file", e)
            }
            _ => Error::io(path, e),
        })?;
    } else {
        file.take(most).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    }
    Ok(bytes)
}

/// `path` or `path.gz`, whichever is there.
///
/// # Errors
/// [`Error::Io`] where neither is.
pub(super) fn require(path: &Path) -> Result<PathBuf> {
    find(path).ok_or_else(|| {
        Error::io(path, std::io::Error::new(ErrorKind::NotFound, "neither it nor its .gz is there"))
    })
}
