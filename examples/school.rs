//! 139 regressions on one network: examination scores of the pupils of 139 schools, against ridge regressions.
//!
//! Every school is a task with pupils of its own. Reads the ILEA data from `--root`, or from the folder `school` in the folder that
//! `TASKWEAVE_DATA` names; without either it says so and ends. R² is taken over the test pupils of all schools.

mod image_job;
mod school_job;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use school_job::{Job, SIZE};
use taskweave::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 139 regressions on one network
#[derive(Parser)]
struct Arguments {
    /// Folder of school.safetensors (.gz or not) [default: school in the folder that TASKWEAVE_DATA names]
    #[arg(long)]
    root: Option<PathBuf>,
    /// Folder of the results
    #[arg(long, default_value = "runs/school")]
    run: PathBuf,
    /// Number of seeds, each with a split of its own
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=1000))]
    seeds: u64,
    /// Passes over the training pupils
    #[arg(long, default_value_t = 80)]
    epochs: u64,
    /// The largest learning rate
    #[arg(long, default_value_t = 0.02, allow_negative_numbers = true)]
    rate: f64,
    /// Hidden values of the trunk
    #[arg(long, default_value_t = 32)]
    hidden: usize,
    /// Further ways of balancing the schools
    #[arg(long)]
    full: bool,
    /// Only print R² on validation pupils, for each strength of the shrinkage
    #[arg(long)]
    tune: bool,
}

fn main() -> ExitCode {
    image_job::exit(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let wanted = ("the folder of the ILEA data", "school");
    let Some(root) = image_job::files("school", arguments.root.clone(), wanted) else { return Ok(()) };
    let job = Job {
        seeds: (0..arguments.seeds).collect(),
        epochs: arguments.epochs,
        rate: arguments.rate,
        hidden: arguments.hidden,
        balances: if arguments.full { school_job::EVERY } else { school_job::SOME },
    };
    if arguments.tune {
        return school_job::tune(&job, &root);
    }
    let rows = school_job::compare(&job, &root)?;
    let table = school_job::table(&job, &rows)?;
    std::fs::create_dir_all(&arguments.run).map_err(|e| Error::io(&arguments.run, e))?;
    table.write_summary(arguments.run.join("summary.json"))?;
    print!("{}", table.to_text());
    let [own, ridge] = [SIZE, "pooled + residual ridge"].map(|method| school_job::mean(&rows, method));
    let (own, most) = (own?, ridge?.max(0.367));
    if arguments.seeds >= 5 && own <= most {
        return Err(Error::parameter("R² of the network", format!("more than {most:.4}"), own));
    }
    Ok(())
}
