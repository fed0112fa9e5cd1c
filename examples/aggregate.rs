//! Makes one gradient of the gradients of several tasks, by any method of the library.
//!
//! Reads lines of JSON from standard input, `{"jacobian": [[…], …], "method": {"name": "cagrad", "c": 0.5}}`, and writes one
//! line for each: `{"weights": […] or null, "gradient": […]}`, or `{"error": "…"}`. Methods that weigh by losses too want
//! `"losses": […]`, one per row. Without any line it shows what the methods make of two gradients in conflict.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor};
use clap::Parser;
use serde_json::{Value, json};
use taskweave::cotrain::report::Table;
use taskweave::kernels::autograd::Gradient;
use taskweave::loss::{Aggregated, Aggregator, AggregatorConfig, Jacobian};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes one gradient of the gradients of several tasks
///
/// Standard input: lines like {"jacobian": [[-4, 1, 1], [6, 1, 1]], "method": {"name": "upgrad"}}
#[derive(Parser)]
struct Arguments {
    /// Aggregate every line so often and tell the median time in "seconds"
    #[arg(long)]
    repeat: Option<usize>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    jacobian: Vec<Vec<f64>>,
    losses: Option<Vec<f64>>,
    method: AggregatorConfig,
}

fn main() -> ExitCode {
    let repeat = Arguments::parse().repeat;
    // On a thread of the pool, as training does it: otherwise each method waits for one to wake up.
    let answered = || rayon::scope(|_| answer(repeat));
    let result = if std::io::stdin().is_terminal() { Ok(0) } else { answered() };
    match result.and_then(|answered| if answered == 0 { show() } else { Ok(()) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers every line, and says how many there were.
fn answer(repeat: Option<usize>) -> Result<usize> {
    let (mut out, mut answered) = (std::io::stdout().lock(), 0);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::io("standard input", e))?;
        if line.trim().is_empty() {
            continue;
        }
        let request =
            serde_json::from_str::<Request>(&line).map_err(|e| Error::data("standard input", "a request", e));
        let reply = match request.and_then(|request| reply(&request, repeat)) {
            Ok(reply) => reply,
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{reply}").and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))?;
        answered += 1;
    }
    Ok(answered)
}

fn reply(request: &Request, repeat: Option<usize>) -> Result<Value> {
    let jacobian = jacobian(request)?;
    let mut aggregator = request.method.build()?;
    let Some(repeat) = repeat else {
        let (weights, gradient) = aggregate(&mut *aggregator, &jacobian)?;
        return Ok(json!({ "weights": weights, "gradient": gradient }));
    };
    let mut seconds = Vec::new();
    for _ in 0..repeat.max(1) {
        let start = Instant::now();
        aggregator.aggregate(&jacobian)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(json!({ "seconds": seconds[seconds.len() / 2] }))
}

fn jacobian(Request { jacobian: rows, losses, .. }: &Request) -> Result<Jacobian> {
    if rows.is_empty() {
        return Err(Error::parameter("jacobian", "at least one row", "none"));
    }
    let named = rows.iter().enumerate().map(|(task, row)| {
        let block = Tensor::new(row.as_slice(), &Device::Cpu)?;
        Ok((task.to_string(), Named::new([("gradient", Gradient::from(block))])?))
    });
    let jacobian = Jacobian::new(Named::new(named.collect::<Result<Vec<_>>>()?)?)?;
    let Some(losses) = losses else { return Ok(jacobian) };
    jacobian.with_losses(Named::new(losses.iter().enumerate().map(|(task, loss)| (task.to_string(), *loss)))?)
}

fn aggregate(aggregator: &mut dyn Aggregator, jacobian: &Jacobian) -> Result<(Value, Vec<f64>)> {
    let Aggregated { mut gradient, weights } = aggregator.aggregate(jacobian)?;
    let gradient =
        gradient.remove("gradient").ok_or_else(|| Error::parameter("gradient", "one block", "none"))?;
    Ok((json!(weights), gradient.into_dense()?.to_vec1()?))
}

/// How far each of two gradients in conflict gains from the update of every method.
fn show() -> Result<()> {
    let (start, rows) = (Instant::now(), [vec![-4.0, 1.0, 1.0], vec![6.0, 1.0, 1.0]]);
    let mut found = Vec::new();
    for name in [
        "mean",
        "norm_balance",
        "mgda",
        "dualproj",
        "upgrad",
        "pcgrad",
        "imtl_g",
        "cagrad",
        "conic_grad",
        "nash_mtl",
        "fairgrad",
        "aligned_mtl",
        "config",
        "graddrop",
        "sam_gs",
    ] {
        let method = serde_json::from_value(json!({ "name": name }))
            .map_err(|e| Error::parameter("method", "a name", e))?;
        let request = Request { jacobian: rows.to_vec(), losses: None, method };
        let (_, update) = aggregate(&mut *request.method.build()?, &jacobian(&request)?)?;
        let gain = |row: &[f64]| row.iter().zip(&update).map(|(g, d)| g * d).sum::<f64>();
        let metrics =
            [("gain of (-4, 1, 1)", vec![gain(&rows[0])]), ("gain of (6, 1, 1)", vec![gain(&rows[1])])];
        found.push((name, Named::new(metrics)?));
    }
    let mut table = Table::new(start.elapsed().as_secs_f64(), &[0])?;
    found.iter().try_for_each(|(name, metrics)| table.samples(*name, metrics))?;
    let folder = Path::new("runs/aggregate");
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    print!("{}", table.to_text());
    Ok(())
}
