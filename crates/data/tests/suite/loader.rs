//! The loader: same batches for any number of workers, exact resumption, errors in place, threads that end.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candle_core::{Device, Tensor};
use taskweave_data::{
    Batch, Dataset, Flip, Label, Labels, Last, Loader, Noise, Order, Sample, Shapes, ShapesConfig, Spec,
    transform::Compose,
};
use taskweave_kernels::{Error, Named, Result, Rng};

/// Sample i is the number i; what else happens when it is read is up to the test.
struct Probe {
    spec: Spec,
    len: usize,
    on_get: Box<dyn Fn(usize) -> Result<()> + Send + Sync>,
}

impl Probe {
    fn new(len: usize, on_get: impl Fn(usize) -> Result<()> + Send + Sync + 'static) -> Arc<Self> {
        let spec = Spec {
            inputs: Named::new([("x", vec![1])]).unwrap(),
            targets: Named::new([("y", Labels::Class(vec!["only".into()]))]).unwrap(),
        };
        Arc::new(Self { spec, len, on_get: Box::new(on_get) })
    }
}

impl Dataset for Probe {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<Sample> {
        (self.on_get)(index)?;
        let x = Tensor::new(&[index as f32], &Device::Cpu)?;
        Ok(Sample { inputs: Named::new([("x", x)])?, targets: Named::new([("y", Label::class(0)?)])? })
    }
}

/// Runs `work` and fails where it does not end.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(100)).expect("it hangs, or it panicked")
}

fn augmented(workers: usize) -> Loader {
    let shapes = Shapes::new(ShapesConfig { len: 50, size: 16, ..ShapesConfig::default() }).unwrap();
    let augment = Compose::new(vec![Box::new(Flip::new(0.5).unwrap()), Box::new(Noise::new(0.1).unwrap())]);
    Loader::builder(Arc::new(shapes))
        .batch_size(4)
        .order(Order::Shuffled)
        .transform(augment)
        .rng(Rng::new(5))
        .workers(workers)
        .build()
        .unwrap()
}

type Content = (Vec<usize>, Vec<u32>, Vec<u32>, Vec<u32>);

/// All that a batch holds, bit for bit.
fn content(batch: Result<Batch>) -> Content {
    let batch = batch.unwrap();
    let pixels = batch.inputs["image"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let class = batch.targets["class"].value().to_vec1().unwrap();
    let mask = batch.targets["mask"].value().flatten_all().unwrap().to_vec1().unwrap();
    (batch.indices, pixels.into_iter().map(f32::to_bits).collect(), class, mask)
}

fn contents(batches: impl Iterator<Item = Result<Batch>>) -> Vec<Content> {
    batches.map(content).collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_workers() {
    let expected = contents(augmented(0).epoch(3));
    assert_eq!(expected.len(), 13);
    for workers in [1, 2, 3, 5, 40] {
        assert_eq!(contents(augmented(workers).epoch(3)), expected, "{workers} workers");
    }
}

#[test]
fn resuming_in_the_middle_goes_on_as_if_uninterrupted() {
    let expected = contents(augmented(2).epoch(1));
    for (workers, first) in [(0, 5), (1, 12), (3, 5), (4, 1), (2, 13), (2, 99)] {
        let rest = contents(augmented(workers).epoch_from(1, first));
        assert_eq!(rest, expected[first.min(13)..], "{workers} workers from {first}");
    }
}

#[test]
fn every_epoch_has_all_samples_in_another_order_with_another_augmentation() {
    let loader = augmented(2);
    let (first, second) = (contents(loader.epoch(0)), contents(loader.epoch(1)));
    let order = |epoch: &[Content]| epoch.iter().flat_map(|batch| batch.0.clone()).collect::<Vec<_>>();
    assert_ne!(order(&first), order(&second));
    for epoch in [&first, &second] {
        assert_eq!(order(epoch).into_iter().collect::<BTreeSet<_>>(), (0..50).collect());
    }
    let pixels = |epoch: &[Content]| {
        let batch = epoch.iter().find(|batch| batch.0.contains(&7)).unwrap();
        let place = batch.0.iter().position(|&index| index == 7).unwrap();
        batch.1[place * 768..][..768].to_vec()
    };
    assert_ne!(pixels(&first), pixels(&second));
}

#[test]
fn the_number_of_batches_left_is_known() {
    let mut epoch = augmented(2).epoch(0);
    assert_eq!(epoch.len(), 13);
    epoch.next();
    assert_eq!(epoch.len(), 12);
}

#[test]
fn a_small_last_batch_is_kept_or_dropped() {
    let sizes = |last| {
        let loader = Loader::builder(Probe::new(10, |_| Ok(()))).batch_size(4).last(last).build().unwrap();
        let sizes: Vec<_> = loader.epoch(0).map(|batch| batch.unwrap().len()).collect();
        assert_eq!((sizes.len(), sizes.iter().sum()), (loader.batches(), loader.samples()));
        sizes
    };
    assert_eq!(sizes(Last::Keep), [4, 4, 2]);
    assert_eq!(sizes(Last::Drop), [4, 4]);
}

#[test]
fn chosen_indices_come_in_their_order() {
    let loader =
        Loader::builder(Probe::new(10, |_| Ok(()))).indices(vec![7, 2, 7]).batch_size(2).build().unwrap();
    let indices: Vec<_> = loader.epoch(0).map(|batch| batch.unwrap().indices).collect();
    assert_eq!(indices, [vec![7, 2], vec![7]]);
}

#[test]
fn batches_are_loaded_before_they_are_asked_for() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let seen = move |index| {
        // The test no longer listens once it has seen enough.
        let _ = Sender::send(&sender.lock().unwrap(), index);
        Ok(())
    };
    let loader = Loader::builder(Probe::new(10, seen)).batch_size(2).workers(1).build().unwrap();
    let _epoch = loader.epoch(0);
    let ahead: Vec<usize> =
        (0..4).map(|_| receiver.recv_timeout(Duration::from_secs(100)).unwrap()).collect();
    assert_eq!(ahead, [0, 1, 2, 3]);
}

#[test]
fn dropping_an_epoch_in_the_middle_ends_its_threads() {
    let probe = Probe::new(10_000, |_| Ok(()));
    let dataset = probe.clone();
    ends(move || {
        for workers in [1, 3] {
            let loader = Loader::builder(dataset.clone()).batch_size(2).workers(workers).build().unwrap();
            let mut epoch = loader.epoch(0);
            assert_eq!(epoch.next().unwrap().unwrap().indices, [0, 1]);
            drop(epoch);
            drop(loader.epoch(1));
        }
    });
    // A thread that still ran would hold the data set.
    assert_eq!(Arc::strong_count(&probe), 1);
}

fn outcomes(probe: Arc<Probe>, workers: usize) -> Vec<Result<Vec<usize>, Error>> {
    ends(move || {
        let loader = Loader::builder(probe).batch_size(2).workers(workers).build().unwrap();
        loader.epoch(0).map(|batch| batch.map(|batch| batch.indices)).collect()
    })
}

#[test]
fn an_error_comes_in_the_place_of_its_batch() {
    for workers in [0, 1, 2] {
        let fails = |index| match index {
            5 => Err(Error::data("five.jpg", "an image", "nothing")),
            _ => Ok(()),
        };
        let outcomes = outcomes(Probe::new(10, fails), workers);
        let texts: Vec<_> = outcomes.iter().map(|o| o.as_ref().map_err(Error::to_string)).collect();
        assert_eq!(texts[2], Err("five.jpg: expected an image, found nothing".into()));
        assert_eq!(texts[1], Ok(&vec![2, 3]));
        assert_eq!(texts[3], Ok(&vec![6, 7]));
        assert_eq!(texts.len(), 5);
    }
}

#[test]
fn a_panic_in_a_data_set_becomes_an_error() {
    for workers in [0, 1, 2] {
        let panics = |index| match index {
            4 => panic!("no sample {index}"),
            _ => Ok(()),
        };
        let outcomes = outcomes(Probe::new(10, panics), workers);
        let error = outcomes[2].as_ref().unwrap_err().to_string();
        assert_eq!(error, "sample 4: expected a sample of the data set, found a panic: no sample 4");
        assert_eq!(outcomes[3].as_ref().unwrap(), &[6, 7]);
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let builder = || Loader::builder(Probe::new(10, |_| Ok(())));
    let message = |result: Result<Loader>| result.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(message(builder().batch_size(0).build()), "batch size: expected a number ≥ 1, found 0");
    assert_eq!(
        message(builder().indices(vec![3, 10]).build()),
        "index of a sample: expected a number below 10, found 10"
    );
    assert_eq!(
        message(builder().indices(vec![]).build()),
        "samples of a loader: expected at least one, found none"
    );
    assert!(
        message(builder().batch_size(11).last(Last::Drop).build())
            .starts_with("batch size: expected at most")
    );
}
