//! Checkpoints and run folders that are damaged, unwritable or of another run.

use std::fs;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use taskweave_cotrain::{Checkpoint, Checkpoints, Run};
use taskweave_kernels::{Error, Named, State};

fn checkpoint(value: f32) -> Checkpoint {
    let tensor = |v: f32| Tensor::new(&[v, v + 1.0], &Device::Cpu).unwrap();
    let tensors = Named::new([("momentum", tensor(value * 2.0))]).unwrap();
    let state = State { tensors, ..State::of(&value).unwrap() };
    Checkpoint { model: Named::new([("weight", tensor(value))]).unwrap(), state }
}

fn saved() -> (tempfile::TempDir, Checkpoints, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    for step in [9, 10, 100] {
        checkpoints.save(step, &checkpoint(step as f32)).unwrap();
    }
    let newest = folder.path().join("step-0000000100");
    (folder, checkpoints, newest)
}

fn value(checkpoint: &Checkpoint) -> f32 {
    checkpoint.model["weight"].to_vec1::<f32>().unwrap()[0]
}

#[test]
fn the_two_newest_checkpoints_are_kept() {
    let (folder, checkpoints, _) = saved();
    assert_eq!(value(&checkpoints.latest().unwrap().unwrap()), 100.0);
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["step-0000000010", "step-0000000100"]);
}

#[test]
fn what_a_killed_process_leaves_is_no_checkpoint_and_goes_away() {
    let (folder, checkpoints, _) = saved();
    let aside = folder.path().join(".aside-1");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("model.safetensors"), b"half").unwrap();
    assert_eq!(value(&checkpoints.latest().unwrap().unwrap()), 100.0);
    checkpoints.save(101, &checkpoint(101.0)).unwrap();
    assert!(!aside.exists());
}

#[test]
fn saving_the_same_step_again_replaces_it() {
    let (_folder, checkpoints, _) = saved();
    checkpoints.save(100, &checkpoint(7.0)).unwrap();
    assert_eq!(value(&checkpoints.latest().unwrap().unwrap()), 7.0);
}

fn damage(file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Error {
    let (_folder, checkpoints, newest) = saved();
    let path = newest.join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    let error = checkpoints.latest().unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    error
}

#[test]
fn a_truncated_model_is_named() {
    assert!(matches!(damage("model.safetensors", |b| b[..b.len() - 1].to_vec()), Error::Data { .. }));
    assert!(matches!(damage("model.safetensors", |_| Vec::new()), Error::Data { .. }));
}

#[test]
fn a_flipped_bit_is_found() {
    let flip = |mut bytes: Vec<u8>| {
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    assert!(matches!(damage("model.safetensors", flip), Error::Data { .. }));
    assert!(matches!(damage("state.safetensors", flip), Error::Data { .. }));
}

#[test]
fn a_state_that_is_no_json_is_named() {
    assert!(matches!(damage("state.json", |_| b"{".to_vec()), Error::Data { .. }));
    assert!(matches!(damage("state.json", |b| b[..b.len() / 2].to_vec()), Error::Data { .. }));
}

#[test]
fn another_format_is_refused() {
    let later = |bytes: Vec<u8>| {
        String::from_utf8(bytes).unwrap().replace("\"format\":1", "\"format\":2").into_bytes()
    };
    let error = damage("state.json", later);
    assert!(error.to_string().ends_with("expected format 1, found format 2"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let (_folder, checkpoints, newest) = saved();
    fs::remove_file(newest.join("state.safetensors")).unwrap();
    assert!(
        matches!(checkpoints.latest(), Err(Error::Io { path, .. }) if path.ends_with("state.safetensors"))
    );
}

#[test]
fn a_folder_of_another_configuration_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let config = |rate: f64| serde_json::json!({"epochs": 3, "net": {"rate": rate}});
    Run::open(folder.path(), &config(0.1)).unwrap();
    let error = Run::open(folder.path(), &config(0.2)).unwrap_err();
    assert!(error.to_string().ends_with("expected configuration.net.rate = 0.2, found 0.1"), "{error}");
    assert_eq!(Run::config::<serde_json::Value>(folder.path()).unwrap(), config(0.1));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(Run::open(file.join("run"), &1), Err(Error::Io { .. })));
    assert!(matches!(Checkpoints::new(file.join("run")).save(1, &checkpoint(1.0)), Err(Error::Io { .. })));
}

#[test]
fn a_folder_without_a_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Run::config::<u32>(folder.path()), Err(Error::Io { .. })));
    fs::write(folder.path().join("config.json"), b"[").unwrap();
    assert!(matches!(Run::config::<u32>(folder.path()), Err(Error::Data { .. })));
    assert!(matches!(Run::open(folder.path(), &1), Err(Error::Data { .. })));
}
