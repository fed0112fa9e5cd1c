//! Runs in a process of their own that are killed at random moments.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use taskweave_cotrain::{Callback, StepReport};
use taskweave_kernels::{Result, Rng};

/// Names the folder of its run to a process that is to be killed.
const FOLDER: &str = "TASKWEAVE_TEST_KILLABLE";

/// Tells its standard output how far it is.
pub struct Tell;

impl Callback for Tell {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        println!("step {}", report.step);
        Ok(())
    }
}

/// A run where this is the process to be killed; nothing where it is run as a test of its own.
pub fn killable<T>(run: impl Fn(&Path) -> T) {
    if let Ok(folder) = std::env::var(FOLDER) {
        run(Path::new(&folder));
        println!("done");
    }
}

/// Starts the test `child` in a process of its own and kills it, again and again, until it gets to its end. How often it was
/// killed.
pub fn kill_until_done(child: &str, run: &Path, after_each: impl Fn()) -> usize {
    let mut rng = Rng::new(std::process::id().into());
    for kills in 0..40 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", child, "--nocapture", "--test-threads=1"])
            .env(FOLDER, run)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let told = lines.map_while(|l| l.ok()).filter(|l| l.starts_with("step") || l == "done");
        // At least three steps, so that every round gets further than the last checkpoint.
        if told.take(4 + rng.below(5)).last().as_deref() == Some("done") {
            process.wait().unwrap();
            return kills;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        after_each();
    }
    panic!("the run does not get further");
}
