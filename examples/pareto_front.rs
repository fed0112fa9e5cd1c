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
use hills::{Hill, Hills, TASKS, loader, shares};
use rayon::prelude::*;
use taskweave::cotrain::pareto::{
    Conditioned, DrawPreference, Front, Place, Preference, Start, Tracer, front_figure,
};
use taskweave::cotrain::report::{Figure, Report, Table};
use taskweave::cotrain::{StepBuilder, Training};
use taskweave::prelude::*;

/// A method: its name, its objective, and how it comes to a set.
type Method = (&'static str, &'static str, Way);

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Traced(Start),
    Conditioned,
}

const METHODS: [Method; 8] = [
    ("weighted sum", r#"{"losses": {"name": "constant", "weights": [1, 1]}}"#, Way::Traced(Start::Fresh)),
    (
        "COSMOS",
        r#"{"losses": {"name": "cosmos", "lambda": 5, "preference": [1, 1]}}"#,
        Way::Traced(Start::Fresh),
    ),
    ("PBI", r#"{"losses": {"name": "pbi", "theta": 5, "preference": [1, 1]}}"#, Way::Traced(Start::Fresh)),
    (
        "EPO",
        r#"{"gradients": {"of": "parameters", "method": {"name": "epo", "preference": [1, 1]}}}"#,
        Way::Traced(Start::Fresh),
    ),
    (
        "FERERO",
        r#"{"gradients": {"of": "parameters", "method": {"name": "ferero", "preference": [1, 1]}}}"#,
        Way::Traced(Start::Fresh),
    ),
    ("smooth Tchebycheff", r#"{"losses": {"name": "stch", "mu": 0.02}}"#, Way::Traced(Start::Fresh)),
    ("smooth Tchebycheff, warm", r#"{"losses": {"name": "stch", "mu": 0.02}}"#, Way::Traced(Start::Warm)),
    ("smooth Tchebycheff, one network", r#"{"losses": {"name": "stch", "mu": 0.02}}"#, Way::Conditioned),
];

const LEAD: &str = "Every method is asked for the same preferences. The front is concave: what minimizes a weighted sum is one \
                    of its ends, whatever the weights.";

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
    let fronts = Named::new(METHODS.iter().map(|(name, ..)| *name).zip(fronts.chunks(seeds.len())))?;
    let shares = fronts.try_map(|_, fronts| shares(fronts))?;
    let mut table = Table::new(start.elapsed().as_secs_f64(), &seeds)?;
    for (name, (volumes, shares)) in shares.iter() {
        let metrics = [("hypervolume", volumes.clone()), ("of the front, %", shares.clone())];
        table.samples(name, &Named::new(metrics)?)?;
    }
    let folder = Path::new("runs/pareto_front");
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    table.write_summary(folder.join("summary.json"))?;
    let report = Report::new("A set of trade-offs between two losses").lead(LEAD).table(&table);
    let figure = |(name, fronts): (&str, &&[Front])| {
        let shown = Named::new([("trade-offs, seed 0", fronts[0].clone())])?;
        Ok(front_figure(name, &shown, TASKS)?.series("the front", hills::front(200)))
    };
    let figures = fronts.iter().map(figure).collect::<Result<Vec<Figure>>>()?;
    figures.into_iter().fold(report, Report::curves).write(folder.join("report.html"))?;
    print!("{}", table.to_text());
    println!("Report: {}", folder.join("report.html").display());
    // Fewer steps or preferences reach less.
    if arguments.steps >= 400 && arguments.preferences >= 11 { check(&shares) } else { Ok(()) }
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
    let config: BalanceConfig =
        serde_json::from_str(objective).map_err(|e| Error::parameter("objective", "a balance", e))?;
    let adam = OptimizerConfig::Adam(Adam { lr: 0.01, ..Adam::default() });
    let builder = TASKS.iter().fold(Step::builder(model, params), |b, task| b.criterion(task, Hill));
    Ok(builder.balance(config.build()?).optimizer(adam))
}

/// Weighted sums must miss most of the front; EPO and FERERO must find it, and smooth Tchebycheff in all three ways.
fn check(shares: &Named<(Vec<f64>, Vec<f64>)>) -> Result<()> {
    for (name, (_, shares)) in shares.iter() {
        let (expected, holds) = match name {
            "weighted sum" => ("below 50 %", shares.iter().all(|share| *share < 50.0)),
            name if name.starts_with("smooth") || ["EPO", "FERERO"].contains(&name) => {
                ("above 80 %", shares.iter().all(|share| *share > 80.0))
            }
            _ => ("any", true),
        };
        if !holds {
            return Err(Error::parameter(
                format!("share of the front by {name}"),
                expected,
                format!("{shares:?}"),
            ));
        }
    }
    Ok(())
}
