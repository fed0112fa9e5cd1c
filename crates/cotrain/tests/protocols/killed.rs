//! A run that is killed ends as one that is not.

use std::path::Path;

use taskweave_cotrain::Checkpoints;
use taskweave_heads::Params;

use crate::fixture::bits;
use crate::killing::{Tell, kill_until_done, killable};
use crate::{ROWS, step, training, whole};

/// The row that is killed: a look-ahead, an upper level, and weights of its own.
const KILLED: &str = ROWS[7];

fn run(folder: &Path) -> Params {
    let (mut step, params) = step(0);
    let trainer =
        training(KILLED, 1).checkpoints(Checkpoints::new(folder)).checkpoint_every(3).callback(Tell);
    trainer.build().unwrap().fit(&mut step).unwrap();
    params
}

#[test]
fn killable_child() {
    killable(run);
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run");
    let kills = kill_until_done("killed::killable_child", &folder, || ());
    assert!(kills > 1);
    assert!(bits(&run(&folder)) == whole(KILLED, 0, 1).0, "{kills} kills");
}
