//! The idx format of MNIST.
//!
//! A file is a magic number, one size per dimension (all u32, most significant byte first), and then one byte
//! per element. The magic number is 0x0000_0800 + the number of dimensions for elements of type u8.
//! Reference: Yann LeCun, "The MNIST database", <http://yann.lecun.com/exdb/mnist/>

use std::path::Path;

use taskweave_kernels::{Error, Result};

use super::bytes;

/// Sizes and elements of the idx file at `path` or `path.gz`, which has `N` dimensions of u8.
///
/// # Errors
/// [`Error::Io`] for a file that is missing or unreadable; [`Error::Data`] for another magic number, and for
/// fewer or more elements than the sizes say.
pub(super) fn read<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>)> {
    let path = &bytes::require(path)?;
    let start = 4 + 4 * N;
    let sizes = sizes(path, start)?;
    let promised = sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64));
    let whole = promised.saturating_add(start as u64);
    // One byte more than promised shows that there is too much; memory grows with what is really there.
    let mut content = bytes::read(path, whole.saturating_add(1))?;
    if content.len() as u64 != whole {
        let found = if content.len() as u64 > whole { "more".into() } else { content.len().to_string() };
        return Err(Error::data(path, format!("{whole} bytes, as the sizes {sizes:?} promise"), found));
    }
    content.drain(..start);
    Ok((sizes, content))
}

fn sizes<const N: usize>(path: &Path, start: usize) -> Result<[usize; N]> {
    let header = bytes::read(path, start as u64)?;
    if header.len() != start {
        let expected = format!("an idx header of {start} bytes");
        return Err(Error::data(path, expected, format!("{} bytes", header.len())));
    }
    let word = |place: usize| header[4 * place..][..4].iter().fold(0, |n, &byte| (n << 8) | u32::from(byte));
    let magic = 0x0800 + N as u32;
    if word(0) != magic {
        return Err(Error::data(path, format!("idx magic {magic:#010x}"), format!("{:#010x}", word(0))));
    }
    Ok(std::array::from_fn(|axis| word(axis + 1) as usize))
}
