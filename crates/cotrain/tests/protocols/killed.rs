//! A run that is killed ends as one that is not.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use taskweave_cotrain::{Callback, Checkpoints, StepReport};
use taskweave_heads::Params;
use taskweave_kernels::{Result, Rng};

use crate::fixture::bits;
use crate::{ROWS, step, training, whole};

/// Tells its standard output how far it is.
struct Tell;

impl Callback for Tell {
    fn on_step(&mut self, report: &StepReport) -> Result<()> {
        println!("step {}", report.step);
        Ok(())
    }
}

/// The row that is killed: a look-ahead, an upper level, and weights of its own.
const KILLED: &str = ROWS[7];

fn killable(folder: &Path) -> Params {
    let (mut step, params) = step(0);
    let trainer =
        training(KILLED, 1).checkpoints(Checkpoints::new(folder)).checkpoint_every(3).callback(Tell);
    trainer.build().unwrap().fit(&mut step).unwrap();
    params
}

const CHILD: &str = "TASKWEAVE_TEST_KILLABLE_PROTOCOL";

/// The process that gets killed; does nothing where it is run as a test of its own.
#[test]
fn killable_child() {
    if let Ok(folder) = std::env::var(CHILD) {
        killable(Path::new(&folder));
        println!("done");
    }
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut rng = Rng::new(std::process::id().into());
    let mut kills = 0;
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::killable_child", "--nocapture", "--test-threads=1"])
            .env(CHILD, &run)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // At least three steps, so that every round gets further than the last checkpoint.
        let limit = 4 + rng.below(4);
        let told = lines.by_ref().map_while(|l| l.ok()).filter(|l| l.starts_with("step") || l == "done");
        let last = told.take(limit).last();
        if last.as_deref() == Some("done") {
            child.wait().unwrap();
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 40, "the run does not get further");
    }
    assert!(kills > 1);
    assert!(bits(&killable(&run)) == whole(KILLED, 0, 1).0, "{kills} kills");
}
