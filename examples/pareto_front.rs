//! A set of trade-offs between two losses: which methods find the whole front, and which only its ends.
//!
//! Each method is trained once per preference, from scratch or from the trade-off before; one network is trained for all
//! preferences at once, and sees the preference as its input. The front is concave, so that weighted sums end up at its ends.
//! The measure is the hypervolume below (1, 1), beside that of the front itself.

mod hills;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{DType, Device};
use clap::Parser;
use hills::{Hill, Hills, TASKS, loader};
use rayon::prelude::*;
use taskweave::cotrain::pareto::{
    Conditioned, DrawPreference, Front, Place, Preference, Start, Tracer, front_figure,
};
use taskweave::cotrain::report::{Report, Table};
use taskweave::cotrain::{StepBuilder, Training};
use taskweave::loss::pareto::hypervolume;
use taskweave::prelude::*;

/// A method: its name, its objective, and how it comes to a set.
type Method = (&'static str, &'static str, Way);

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Traced(Start),
    Conditioned,
}

const METHODS: [Method; 6] = [
    ("weighted sum", r#"{"name": "constant", "weights": [1, 1]}"#, Way::Traced(Start::Fresh)),
    ("COSMOS", r#"{"name": "cosmos", "lambda": 5, "preference": [1, 1]}"#, Way::Traced(Start::Fresh)),
    ("PBI", r#"{"name": "pbi", "theta": 5, "preference": [1, 1]}"#, Way::Traced(Start::Fresh)),
    ("smooth Tchebycheff", r#"{"name": "stch", "mu": 0.02}"#, Way::Traced(Start::Fresh)),
    ("smooth Tchebycheff, warm", r#"{"name": "stch", "mu": 0.02}"#, Way::Traced(Start::Warm)),
    ("smooth Tchebycheff, one network", r#"{"name": "stch", "mu": 0.02}"#, Way::Conditioned),
];

/// A set of trade-offs between two losses
#[derive(Parser)]
struct Arguments {
    /// Steps per preference; one network gets those of all preferences together
    #[arg(long, default_value_t = 400)]
    steps: usize,
    /// Preferences, at least 2
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(2..=1000))]
    preferences: u32,
    /// Number of seeds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
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
    let (start, seeds) = (Instant::now(), (0..arguments.seeds).collect::<Vec<_>>());
    let jobs: Vec<(Method, u64)> =
        METHODS.iter().flat_map(|m| seeds.iter().map(|seed| (*m, *seed))).collect();
    let fronts = jobs.par_iter().map(|(method, seed)| front(method, *seed, arguments));
    let fronts = fronts.collect::<Result<Vec<Front>>>()?;
    let mut table = Table::new(start.elapsed().as_secs_f64(), &seeds)?;
    let reference = Named::new(TASKS.map(|task| (task, 1.0)))?;
    let curve: Vec<[f64; 2]> = hills::front(2000).into_iter().map(|(a, b)| [a, b]).collect();
    let whole = hypervolume(&curve, &[1.0, 1.0])?;
    let mut volumes = Named::default();
    for ((name, ..), fronts) in METHODS.iter().zip(fronts.chunks(seeds.len())) {
        let found = fronts.iter().map(|front| front.hypervolume(&reference)).collect::<Result<Vec<f64>>>()?;
        let best = fronts.iter().map(|front| Ok(front.best()?.len() as f64)).collect::<Result<Vec<f64>>>()?;
        let shares = found.iter().map(|volume| 100.0 * volume / whole).collect();
        table.samples(
            *name,
            &Named::new([
                ("hypervolume", found.clone()),
                ("of the front, %", shares),
                ("not dominated", best),
            ])?,
        )?;
        volumes.insert(*name, found.iter().sum::<f64>() / found.len() as f64 / whole)?;
    }
    let shown = METHODS.iter().map(|(name, ..)| *name).zip(fronts.iter().step_by(seeds.len()).cloned());
    let figure = front_figure("Trade-offs, seed 0", &Named::new(shown)?, TASKS)?
        .series("the front", hills::front(200));
    let folder = Path::new("runs/pareto_front");
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    let lead = "Every method is asked for the same preferences. The front is concave: what minimizes a weighted sum is one of \
                its ends, whatever the weights.";
    Report::new("A set of trade-offs between two losses")
        .lead(lead)
        .table(&table)
        .curves(figure)
        .write(folder.join("report.html"))?;
    print!("{}", table.to_text());
    println!("Report: {}", folder.join("report.html").display());
    check(&volumes)
}

/// The trade-offs of a method.
fn front(&(_, objective, way): &Method, seed: u64, arguments: &Arguments) -> Result<Front> {
    let preferences = arguments.preferences as usize;
    let tracer = Tracer::evenly(&TASKS, preferences - 1, 0.02)?;
    let rng = Rng::new(seed);
    let metric = || Box::new(metric::Regression::default()) as Box<dyn Metric>;
    let metrics = || Named::new(TASKS.map(|task| (task, metric())));
    let fresh = |rng: &Rng| Params::new(rng, DType::F64, &Device::Cpu);
    if let Way::Traced(start) = way {
        return tracer.start(start).trace(|i| {
            let (rng, test) = (rng.fork_at(i as u64), loader(1)?);
            let params = fresh(&rng);
            let step = builder(Hills::free(&params)?, params, objective)?.rng(&rng).build()?;
            let trainer = Trainer::builder(loader(arguments.steps)?).build()?;
            Ok(Training { step, trainer, test, metrics: metrics()? })
        });
    }
    let (params, preference) = (fresh(&rng), Preference::new(TASKS)?);
    let model = Conditioned::new(Hills::made(&params)?, &preference, Place::View("preference".into()));
    let mut step = builder(model, params, objective)?.rng(&rng).build()?;
    let draw = DrawPreference::new(&preference, Named::new(TASKS.map(|task| (task, 1.0)))?, &rng)?;
    Trainer::builder(loader(arguments.steps * preferences)?).callback(draw).build()?.fit(&mut step)?;
    tracer.read(&step, &preference, (&loader(1)?, &mut metrics()?))
}

fn builder(model: impl Model + 'static, params: Params, objective: &str) -> Result<StepBuilder> {
    let config: ScalarizerConfig =
        serde_json::from_str(objective).map_err(|e| Error::parameter("objective", "a scalarizer", e))?;
    let adam = OptimizerConfig::Adam(Adam { lr: 0.01, ..Adam::default() });
    let builder = TASKS.iter().fold(Step::builder(model, params), |b, task| b.criterion(task, Hill));
    Ok(builder.scalarizer(config.build()).optimizer(adam))
}

/// Weighted sums must miss most of the front, and smooth Tchebycheff must find it in all three ways.
fn check(shares: &Named<f64>) -> Result<()> {
    for (name, share) in shares.iter() {
        let (expected, holds) = match name {
            "weighted sum" => ("less than 0.5 of the front", *share < 0.5),
            name if name.starts_with("smooth") => ("more than 0.8 of the front", *share > 0.8),
            _ => ("a number", true),
        };
        if !holds {
            return Err(Error::parameter(format!("hypervolume of {name}"), expected, share));
        }
    }
    Ok(())
}
