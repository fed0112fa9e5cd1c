//! Class probabilities and masks of image files, from a network that `quickstart` or `image_multitask` trained.

mod image_job;

use std::path::PathBuf;
use std::process::ExitCode;

use candle_core::{Device, Tensor};
use clap::Parser;
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage};
use image_job::Predictor;
use taskweave::data::read_image;
use taskweave::prelude::*;

/// Class probabilities and masks of image files, from a trained run
#[derive(Parser)]
struct Arguments {
    /// Folder of a run of quickstart or image_multitask
    #[arg(long)]
    run: PathBuf,
    /// Image files, PNG or JPEG, of any size: they are scaled to that of the network
    #[arg(long, required = true, num_args = 1..)]
    image: Vec<PathBuf>,
    /// Which of the run's multi-task methods
    #[arg(long, default_value = "joint")]
    method: String,
    /// Which of the run's seeds
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the masks [default: <run>/masks]
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    image_job::exit(run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<()> {
    let predictor = Predictor::load(&arguments.run, &arguments.method, arguments.seed)?;
    // All files are read before anything is written.
    let images =
        arguments.image.iter().map(|path| Ok((path, read_image(path)?))).collect::<Result<Vec<_>>>()?;
    let mut stems: Vec<_> = arguments.image.iter().map(|path| path.file_stem()).collect();
    stems.sort();
    if let Some(pair) = stems.windows(2).find(|pair| pair[0] == pair[1]) {
        let found = format!("{:?} twice", pair[0].unwrap_or_default());
        return Err(Error::parameter(
            "--image",
            "files of different names, as masks are named after them",
            found,
        ));
    }
    let out = arguments.out.unwrap_or_else(|| arguments.run.join("masks"));
    std::fs::create_dir_all(&out).map_err(|e| Error::io(&out, e))?;
    for (path, image) in images {
        let size = predictor.saved.size;
        let prediction = predictor.predict(&tensor(&image, size)?)?.remove(0);
        println!("{}", path.display());
        let mut order: Vec<usize> = (0..prediction.classes.len()).collect();
        order.sort_by(|&a, &b| prediction.classes[b].total_cmp(&prediction.classes[a]));
        for class in order {
            println!("  {:5.1} %  {}", 100.0 * prediction.classes[class], predictor.saved.classes[class]);
        }
        let mask = GrayImage::from_raw(size[2] as u32, size[1] as u32, prediction.mask())
            .ok_or_else(|| Error::shape("mask", "[height, width]", &size))?;
        let mask = image::imageops::resize(&mask, image.width(), image.height(), FilterType::Nearest);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let target = out.join(format!("{stem}-mask.png"));
        mask.save(&target).map_err(|e| Error::data(&target, "a file that can be written", e))?;
        println!("  mask: {}", target.display());
    }
    Ok(())
}

/// The image as a batch of one, `[1, channels, height, width]` in `[0, 1]`.
fn tensor(image: &DynamicImage, [channels, height, width]: [usize; 3]) -> Result<Tensor> {
    let image = image.resize_exact(width as u32, height as u32, FilterType::Triangle);
    let (bytes, found) = match channels {
        1 => (image.to_luma8().into_raw(), 1),
        _ => (image.to_rgb8().into_raw(), 3),
    };
    let values: Vec<f32> = bytes.iter().map(|v| f32::from(*v) / 255.0).collect();
    Ok(Tensor::from_vec(values, (1, height, width, found), &Device::Cpu)?
        .permute((0, 3, 1, 2))?
        .contiguous()?)
}
