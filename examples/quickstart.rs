//! Two tasks on one network against one network per task, on drawn shapes.
#![allow(missing_docs)]

mod image_job;

use std::time::Instant;

use image_job::{JobConfig, Samples, Source, training};
use taskweave::cotrain::Comparison;
use taskweave::prelude::*;

fn main() -> Result<()> {
    let start = Instant::now();
    let env = |name: &str, or: f64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or);
    let config = JobConfig {
        source: Source::Shapes(ShapesConfig::default()),
        samples: [env("N", 1500.0) as usize, 500, 1000],
        widths: vec![env("W1", 16.0) as usize, env("W2", 32.0) as usize, env("W3", 64.0) as usize],
        dropout: env("DROP", 0.0),
        batch_size: env("B", 50.0) as usize,
        epochs: env("E", 8.0) as u64,
        rate: env("LR", 1e-2),
        weight_decay: env("WD", 1e-2),
        mask_weight: env("MW", 1.0),
        period: 10,
        augment: vec![],
        seeds: vec![0],
    };
    let _ = std::fs::remove_dir_all("/tmp/qs");
    let run = Run::open("/tmp/qs", &config)?;
    let samples = Samples::load(&config)?;
    eprintln!("loaded {:?}", start.elapsed());
    let mut comparison = Comparison::default();
    for method in config.methods() {
        for &seed in &config.seeds {
            let outcome = training(&config, &method, &samples, (&run, seed))?.run(method.name, seed)?;
            for e in &outcome.history.epochs { eprintln!("{} {} {:?} {:?} {:?}", method.name, e.epoch, e.train, e.valid.map(|_, v| v.value().unwrap()), e.cosines.as_ref().map(|c| c[0][1])); }
            comparison.add(outcome);
        }
    }
    println!("{}", comparison.table(start.elapsed().as_secs_f64())?.to_text());
    Ok(())
}
