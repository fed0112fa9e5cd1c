//! Makes one scalar of the losses of several tasks, step by step, by any method of the library.
//!
//! Reads lines of JSON from standard input, `{"losses": [[…] per step], "after": [[…] per step], "method": {"name": "famo"}}`, and
//! writes one line for each: `{"steps": [{"value": …, "weights": [∂value/∂Lᵢ …]}, …]}`, or `{"error": "…"}`. Every step is an
//! epoch of one batch; `after` holds the losses after the step, for methods that want them. Without any line it shows what
//! the methods make of two losses in different units.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor};
use clap::Parser;
use serde_json::{Value, json};
use taskweave::cotrain::report::Table;
use taskweave::loss::scalarizer::Feedback;
use taskweave::loss::{Scalarizer, ScalarizerConfig, scalarized};
use taskweave::prelude::*;

/// Makes one scalar of the losses of several tasks, step by step
///
/// Standard input: lines like {"losses": [[1.0, 4.0], [0.9, 3.0]], "method": {"name": "dwa"}}
#[derive(Parser)]
struct Arguments {}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    losses: Vec<Vec<f64>>,
    #[serde(default)]
    after: Vec<Vec<f64>>,
    method: ScalarizerConfig,
}

fn main() -> ExitCode {
    Arguments::parse();
    let result = if std::io::stdin().is_terminal() { Ok(0) } else { answer() };
    match result.and_then(|answered| if answered == 0 { show() } else { Ok(()) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers every line, and says how many there were.
fn answer() -> Result<usize> {
    let (mut out, mut answered) = (std::io::stdout().lock(), 0);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::io("standard input", e))?;
        if line.trim().is_empty() {
            continue;
        }
        let request =
            serde_json::from_str::<Request>(&line).map_err(|e| Error::data("standard input", "a request", e));
        let reply = match request.and_then(|request| steps(&request)) {
            Ok(steps) => json!({ "steps": steps }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{reply}").map_err(|e| Error::io("standard output", e))?;
        answered += 1;
    }
    Ok(answered)
}

fn steps(request: &Request) -> Result<Vec<Value>> {
    let mut scalarizer = request.method.build();
    let step = |(i, losses): (usize, &Vec<f64>)| {
        let step = one(&mut *scalarizer, losses, request.after.get(i)).map_err(|error| error.at(i as u64))?;
        Ok(json!({ "value": step.0, "weights": step.1 }))
    };
    request.losses.iter().enumerate().map(step).collect()
}

/// One step, which is an epoch: its value and the weights.
fn one(scalarizer: &mut dyn Scalarizer, losses: &[f64], after: Option<&Vec<f64>>) -> Result<(f64, Vec<f64>)> {
    let named =
        |values: &[f64]| Named::new(values.iter().enumerate().map(|(i, value)| (i.to_string(), *value)));
    let epoch = named(losses)?;
    let tensors = epoch.try_map(|_, loss| Tensor::new(*loss, &Device::Cpu))?;
    let step = scalarized(scalarizer, &tensors)?;
    if scalarizer.feedback() == Feedback::LossesAfterStep {
        let after = after.ok_or_else(|| Error::parameter("after", "the losses after each step", "fewer"))?;
        scalarizer.after_step(&named(after)?)?;
    }
    scalarizer.end_epoch(&epoch)?;
    Ok((step.value.to_scalar()?, step.weights.values().copied().collect()))
}

/// The weights that methods give to a loss and to one that is ten times as large and falls more slowly.
fn show() -> Result<()> {
    let (start, mut rows) = (Instant::now(), Vec::new());
    for name in [
        "sum",
        "mean",
        "log_loss",
        "geometric_mean",
        "uncertainty",
        "uncertainty_softmax",
        "imtl_l",
        "dwa",
        "random",
        "famo",
    ] {
        let config: ScalarizerConfig = serde_json::from_value(json!({ "name": name }))
            .map_err(|e| Error::parameter("method", "a name", e))?;
        let mut scalarizer = config.build();
        let mut last = Vec::new();
        for step in 0..4 {
            let at = |t: i32| vec![0.8f64.powi(t), 10.0 * 0.95f64.powi(t)];
            last = one(&mut *scalarizer, &at(step), Some(&at(step + 1)))?.1;
        }
        rows.push((name, Named::new([("weight of L", vec![last[0]]), ("weight of 10 L", vec![last[1]])])?));
    }
    let mut table = Table::new(start.elapsed().as_secs_f64(), &[0])?;
    rows.iter().try_for_each(|(name, metrics)| table.samples(*name, metrics))?;
    let folder = Path::new("runs/scalarize");
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    print!("{}", table.to_text());
    Ok(())
}
