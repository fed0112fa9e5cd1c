//! Digits with 40 labels: what a network learns from four labels per class, alone and with unlabeled digits.
//!
//! Networks of every method have the same form, see the same labels under the same weak augmentation and make as many
//! steps. Nothing is chosen by test digits. Needs the digits below `TASKWEAVE_DATA`.

mod digits;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use clap::Parser;
use digits::{Digits, Halve, Outcome, Ticks, accuracy, curve, mean, metrics, on_all_cores, write};
use serde_json::json;
use taskweave::cotrain::rate::{Cosine, RateConfig};
use taskweave::cotrain::teaching::{Lessons, TeachingConfig};
use taskweave::cotrain::{Ensemble, Term, Unit};
use taskweave::data::dataset::class_labels;
use taskweave::data::{Compose, Cutout, Padding, RandAugment, SelectTasks, Shift, Subset, Transform, Views};
use taskweave::heads::{Classification, Conv, MaxPool, Relu};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Digits with 40 labels: what a network learns alone, and with unlabeled digits
#[derive(Parser)]
struct Arguments {
    /// All 59 000 unlabeled digits, a larger network, 20 000 steps; takes hours
    #[arg(long)]
    full: bool,
    /// Number of seeds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Folder of the results
    #[arg(long, default_value = "runs/few_labels")]
    run: PathBuf,
}

/// Sizes of a run.
struct Plan {
    unlabeled: usize,
    steps: u64,
    batch: usize,
    widths: [usize; 2],
    decay: f64,
    /// Whether images keep their size.
    full: bool,
}

impl Plan {
    fn size(&self) -> Box<dyn Transform> {
        if self.full { Box::new(Compose::default()) } else { Box::new(Halve) }
    }
}

const METHODS: [&str; 6] =
    ["supervised", "mutual learning", "deep co-training", "mean teacher", "FixMatch", "FreeMatch"];
const PER_CLASS: usize = 4;

struct Job {
    method: &'static str,
    seed: u64,
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
    let Some(digits) = Digits::open()? else { return Ok(()) };
    let plan = match arguments.full {
        true => {
            Plan { unlabeled: 59_000, steps: 20_000, batch: 280, widths: [32, 64], decay: 0.999, full: true }
        }
        false => Plan { unlabeled: 6000, steps: 800, batch: 64, widths: [16, 32], decay: 0.99, full: false },
    };
    let start = Instant::now();
    let job = |method| move |seed| Job { method, seed };
    let jobs: Vec<Job> = METHODS.iter().flat_map(|method| (0..arguments.seeds).map(job(*method))).collect();
    let ticks = Ticks::new(plan.steps * jobs.len() as u64);
    let labels = class_labels(&*digits.train, "class")?;
    let outcomes = on_all_cores(&jobs, |job| train(job, &plan, (&digits, &labels), &ticks))?;
    ticks.finish();
    let lead = "Four labels per digit. Error is that on 10 000 test digits after the last step; of a method with two networks \
                the mean of both, of one that keeps a running mean of its network that of the mean.";
    write(&arguments.run, ["Digits with 40 labels", lead], &outcomes, start)?;
    let of = |method: &str| mean(&outcomes, method, "test error %");
    let (alone, best) = (of("supervised"), of("FixMatch").min(of("FreeMatch")));
    println!("FixMatch or FreeMatch {best:.2} % against {alone:.2} % of labels alone");
    match best <= 0.5 * alone {
        true => Ok(()),
        false => Err(Error::parameter(
            "test error",
            format!("at most half of {alone:.2} %"),
            format!("{best:.2} %"),
        )),
    }
}

fn train(job: &Job, plan: &Plan, (digits, labels): (&Digits, &[u32]), ticks: &Ticks) -> Result<Outcome> {
    let rng = Rng::new(job.seed);
    ticks.at(job.method);
    let (labeled, others, valid) = split(labels, plan, &rng);
    let method = method(job, plan)?;
    let ensemble = ensemble(&rng, plan, method.clone().build().terms()?)?;
    let mut step = ensemble
        .step()
        .optimizer(OptimizerConfig::Adam(Adam { lr: 2e-3, ..Adam::default() }))
        .rng(&rng)
        .build()?;
    let known = Loader::builder(Arc::new(Subset::new(digits.train.clone(), labeled)?))
        .batch_size(10 * PER_CLASS)
        .order(Order::Shuffled)
        .transform(Compose::new(vec![weak(), plan.size(), Box::new(ensemble.spread())]))
        .rng(rng.fork("labeled"))
        .build()?;
    let views = views(job.method, plan)?;
    let unknown = SelectTasks::new(Subset::new(digits.train.clone(), others)?, &[])?;
    let unknown = Loader::builder(Arc::new(unknown))
        .batch_size(plan.batch)
        .order(Order::Shuffled)
        .last(taskweave::data::Last::Drop)
        .transform(Views::new("image", views)?)
        .rng(rng.fork("unlabeled"))
        .build()?;
    let judge = |dataset: Arc<dyn Dataset>| {
        let transform = Compose::new(vec![plan.size(), Box::new(ensemble.spread())]);
        Loader::builder(dataset).batch_size(500).transform(transform).build()
    };
    let judged = judged(job.method);
    let mut trainer = Trainer::builder(unknown.clone())
        .epochs(plan.steps.div_ceil(unknown.batches() as u64))
        .rate(RateConfig::Cosine(Cosine::new(plan.steps, 0.0)?).build()?, Unit::Step)
        .valid(judge(Arc::new(Subset::new(digits.train.clone(), valid)?))?, metrics(&judged)?)
        .lessons(Lessons::new(&ensemble).teach(method.build())?.beside(known))
        .callback(ticks.clone())
        .build()?;
    let history = trainer.fit(&mut step)?;
    let error = 100.0 - accuracy(&step, &judge(digits.test.clone())?, &judged)?;
    let metrics = Named::new([("test error %", error), ("seconds", history.seconds())])?;
    Ok(Outcome { method: job.method.into(), seed: job.seed, metrics, curve: curve(&history) })
}

/// Four labeled samples of each class, unlabeled ones, and a thousand to draw curves by.
fn split(labels: &[u32], plan: &Plan, rng: &Rng) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    rng.fork("split").shuffle(&mut order);
    let valid = order.split_off(order.len() - 1000);
    let of = |class: u32| order.iter().copied().filter(move |at| labels[*at] == class).take(PER_CLASS);
    let labeled = (0..10).flat_map(of).collect();
    order.truncate(plan.unlabeled);
    (labeled, order, valid)
}

/// The terms that a method is judged by.
fn judged(method: &str) -> Vec<String> {
    let terms: &[&str] = match method {
        "supervised" => &["class@a"],
        "mutual learning" | "deep co-training" => &["class@a", "class@b"],
        _ => &["class@mean"],
    };
    terms.iter().map(|term| term.to_string()).collect()
}

fn method(job: &Job, plan: &Plan) -> Result<TeachingConfig> {
    let reads = |input: &str| json!([["image", input]]);
    let ramp = json!({ "name": "gaussian", "steps": plan.steps / 3 });
    let mut method = match job.method {
        "supervised" => json!({ "name": "supervised", "members": ["a"] }),
        "mutual learning" => {
            json!({ "name": "mutual_learning", "members": ["a", "b"], "reads": reads("weak"), "ramp": ramp })
        }
        "deep co-training" => {
            json!({ "name": "deep_co_training", "members": ["a", "b"], "view": "image", "input": "weak", "ramp": ramp })
        }
        "mean teacher" => json!({
            "name": "mean_teacher", "student": "a", "teacher": "mean", "reads": reads("weak"),
            "teacher_reads": reads("other"), "decay": plan.decay, "lambda": 10, "ramp": ramp,
        }),
        _ => json!({
            "name": "fix_match", "student": "a", "mean": "mean", "weak": reads("weak"), "strong": reads("strong"),
            "decay": plan.decay, "threshold": { "name": "fixed" },
        }),
    };
    if job.method == "FreeMatch" {
        method["threshold"] = json!({ "name": "free", "momentum": plan.decay });
    }
    (method["task"], method["criterion"]) = (json!("class"), json!({ "name": "cross_entropy" }));
    serde_json::from_value(method).map_err(|e| Error::parameter("method", "a method", e))
}

/// A small convolutional network for each member that the terms name; the running mean is frozen.
fn ensemble(rng: &Rng, plan: &Plan, terms: Named<Term>) -> Result<Ensemble> {
    let params = Params::new(rng, DType::F32, &Device::Cpu);
    let mut members: Named<Box<dyn Model>> = Named::default();
    for name in terms.values().flat_map(|term| &term.members) {
        let own = params.member(name);
        let own = if name == "mean" { own.frozen() } else { own };
        if !members.contains(name) {
            members.insert(name.clone(), Box::new(network(&own, plan)?))?;
        }
    }
    Ensemble::new(&params, members, terms)
}

/// Two convolutions and a linear layer. Labeled and unlabeled inputs are batches of different kinds, which batch
/// normalization would mix.
fn network(params: &Params, plan: &Plan) -> Result<Network> {
    let ([first, second], side) = (plan.widths, if plan.full { 28 } else { 14 });
    let vb = params.shared();
    let stages: Vec<Box<dyn Stage>> = vec![
        Box::new(Conv::new(&vb.pp("first"), [1, first], 3)?),
        Box::new(Relu),
        Box::new(MaxPool),
        Box::new(Conv::new(&vb.pp("second"), [first, second], 3)?),
        Box::new(Relu),
        Box::new(MaxPool),
        Box::new(|x: &Tensor| x.flatten_from(1)),
    ];
    let trunk = Backbone::new(stages, Features::Vector { width: second * (side / 4) * (side / 4) });
    let head = Classification::new(&params.task("class"), trunk.features(), 10)?;
    let heads = Named::new([("class", Box::new(head) as Box<dyn Stage>)])?;
    Ok(Network::new(Box::new(HardSharing::new("image", trunk)), heads))
}

/// The views of an unlabeled digit that a method reads.
fn views(method: &str, plan: &Plan) -> Result<Named<Box<dyn Transform>>> {
    let view = |first: Box<dyn Transform>| -> Box<dyn Transform> {
        Box::new(Compose::new(vec![first, plan.size()]))
    };
    let mut views = Named::new([("weak", view(weak()))])?;
    match method {
        "mean teacher" => views.insert("other", view(weak()))?,
        "FixMatch" | "FreeMatch" => views.insert("strong", view(strong()?))?,
        _ => {}
    }
    Ok(views)
}

fn weak() -> Box<dyn Transform> {
    Box::new(Shift::new(2, Padding::Zero))
}

fn strong() -> Result<Box<dyn Transform>> {
    Ok(Box::new(Compose::new(vec![weak(), Box::new(RandAugment::new(2, 1.0)?), Box::new(Cutout::new(8)?)])))
}
