//! Two losses whose gradients conflict: where each way of combining them ends.
//!
//! From five starting points 50 000 steps of Adam follow the update of every method, with the first loss at a tenth of its
//! size and at its size. A method has arrived where x₂ ≈ −8.36 and |x₁| ≤ 7, on the set of best trade-offs; one that has not
//! is stuck in the valley between. The outcomes known from the literature are checked at the end.

mod toy;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde_json::json;
use taskweave::cotrain::report::Table;
use taskweave::loss::{Gramian, Weighting, WeightingConfig};
use taskweave::prelude::*;
use toy::{STARTS, losses};

const METHODS: [&str; 13] = [
    "mean",
    "norm_balance",
    "mgda",
    "dualproj",
    "upgrad",
    "pcgrad",
    "gradvac",
    "imtl_g",
    "cagrad",
    "nash_mtl",
    "fairgrad",
    "aligned_mtl",
    "config",
];

/// Two losses whose gradients conflict
#[derive(Parser)]
struct Arguments {
    /// Steps from each start; outcomes are checked from 50 000 on
    #[arg(long, default_value_t = 50_000)]
    steps: u32,
    /// Learning rate of Adam
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if !(arguments.rate.is_finite() && arguments.rate > 0.0) {
        return Err(Error::parameter("rate", "a finite number > 0", arguments.rate));
    }
    let start = Instant::now();
    let jobs: Vec<(&str, f64)> = METHODS.iter().flat_map(|name| [(*name, 0.1), (*name, 1.0)]).collect();
    let bar = ProgressBar::new(jobs.len() as u64);
    let one = |(name, scale): &(&'static str, f64)| -> Result<(String, Vec<[f64; 2]>)> {
        let ends =
            STARTS.iter().map(|from| descend(name, *scale, *from, arguments)).collect::<Result<_>>()?;
        bar.inc(1);
        Ok((format!("{name}, scale {scale}"), ends))
    };
    let found = jobs.par_iter().map(one).collect::<Result<Vec<_>>>()?;
    bar.finish_and_clear();
    let mut table = Table::new(start.elapsed().as_secs_f64(), &[0])?;
    for (method, ends) in &found {
        let place = |(i, end): (usize, &[f64; 2])| (format!("x₁ from {:?}", STARTS[i]), vec![end[0]]);
        let arrivals = ends.iter().filter(|end| arrived(end)).count() as f64;
        let metrics =
            [("arrived".to_string(), vec![arrivals])].into_iter().chain(ends.iter().enumerate().map(place));
        table.samples(method.clone(), &Named::new(metrics)?)?;
    }
    let folder = Path::new("runs/conflicting_gradients");
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    print!("{}", table.to_text());
    if arguments.steps >= 50_000 && arguments.rate == 1e-3 { check(&found) } else { Ok(()) }
}

/// Where Adam ends from a start.
fn descend(name: &str, scale: f64, mut x: [f64; 2], arguments: &Arguments) -> Result<[f64; 2]> {
    let config = serde_json::from_value::<WeightingConfig>(json!({ "name": name }));
    let mut weighting = config.map_err(|e| Error::parameter("method", "a weighting", e))?.build()?;
    let mut moments = [[0.0; 2]; 2];
    for step in 1..=arguments.steps {
        let Some(update) = update(&mut *weighting, x, scale)? else { return Ok(x) };
        for i in 0..2 {
            moments[0][i] = 0.9 * moments[0][i] + 0.1 * update[i];
            moments[1][i] = 0.999 * moments[1][i] + 0.001 * update[i] * update[i];
            let mean = moments[0][i] / (1.0 - 0.9f64.powi(step as i32));
            let square = moments[1][i] / (1.0 - 0.999f64.powi(step as i32));
            x[i] -= arguments.rate * mean / (square.sqrt() + 1e-8);
        }
    }
    Ok(x)
}

/// The update of a method at `x`; nothing where tasks that bargain do not agree, which is where nothing is left to gain.
fn update(weighting: &mut dyn Weighting, x: [f64; 2], scale: f64) -> Result<Option<[f64; 2]>> {
    let rows = losses(x, scale).map(|loss| loss.slope);
    let dot = |a: [f64; 2], b: [f64; 2]| a[0] * b[0] + a[1] * b[1];
    let gramian = Gramian::new(["first", "second"], &rows.map(|a| rows.map(|b| dot(a, b))))?;
    match weighting.weights(&gramian) {
        Ok(w) => Ok(Some([0, 1].map(|i| w[0] * rows[0][i] + w[1] * rows[1][i]))),
        Err(Error::NotConverged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn arrived(end: &[f64; 2]) -> bool {
    (end[1] + 8.36).abs() < 0.15 && end[0].abs() <= 7.1
}

/// The outcomes that the literature reports. Aligned-MTL is reported to be stuck as well; here it arrives, since eigenvalues
/// count down to the rounding of f64.
fn check(found: &[(String, Vec<[f64; 2]>)]) -> Result<()> {
    for (method, ends) in found.iter().filter(|(method, _)| method.ends_with("0.1")) {
        let (name, _) = method.split_once(',').unwrap_or_default();
        let all = ends.iter().all(arrived);
        let expected = match name {
            "mgda" | "imtl_g" | "nash_mtl" | "fairgrad" => all,
            "mean" | "pcgrad" | "cagrad" | "upgrad" | "dualproj" => !arrived(&ends[2]),
            _ => true,
        };
        if !expected {
            return Err(Error::parameter(
                format!("outcome of {method}"),
                "that of the literature",
                format!("{ends:?}"),
            ));
        }
    }
    for (method, ends) in found.iter().filter(|(method, _)| method.starts_with("nash_mtl")) {
        for (end, expected) in ends.iter().zip([-2.93, 0.0, 2.94, -3.30, 4.92]) {
            if (end[0] - expected).abs() > 0.1 {
                return Err(Error::parameter(format!("end of {method}"), expected.to_string(), end[0]));
            }
        }
    }
    Ok(())
}
