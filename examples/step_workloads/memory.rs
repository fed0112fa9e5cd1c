//! The resident memory of this process.

/// Resident memory in MiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Now.
    pub resident_mib: f64,
    /// The most so far.
    pub peak_mib: u64,
}

impl Memory {
    /// What the system says, where it says it.
    pub fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let kib = |key: &str| -> Option<u64> {
            status.lines().find(|line| line.starts_with(key))?.split_whitespace().nth(1)?.parse().ok()
        };
        Some(Self { resident_mib: kib("VmRSS:")? as f64 / 1024.0, peak_mib: kib("VmHWM:")? / 1024 })
    }
}
