//! The labeled, pseudo-labeled and unlabeled samples.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use taskweave_kernels::{Error, Result, Rng};

use super::Proposal;
use crate::learner::{Answers, Lesson};

/// A guess that counts as a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PseudoLabel {
    /// The class, as a number, or the value.
    pub label: f64,
    /// How sure those who proposed it were.
    pub confidence: f64,
    /// Who proposed it.
    pub by: Vec<String>,
    /// In which round.
    pub round: u64,
    /// The one learner that it is for; nothing where it is for all.
    pub to: Option<String>,
}

/// The labeled, pseudo-labeled and unlabeled samples of a problem: no sample is in two of these sets. Samples in none of
/// them (those to be judged by) are never touched.
///
/// A pseudo-labeled sample has one guess for all learners, or at most one for each of some learners, where a method gives
/// every learner samples of its own.
///
/// Learners propose from a window of the unlabeled samples, which is filled up at random as samples leave it.
///
/// # Example
/// ```
/// use taskweave_cotrain::learner::Answers;
/// use taskweave_cotrain::pool::{Pool, Proposal};
/// use taskweave_kernels::Rng;
/// let mut pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], 2..10)?;
/// assert_eq!(pool.replenish(5, &Rng::new(0)).len(), 5);
/// let sample = pool.window()[0];
/// pool.add(&[Proposal { sample, label: 1.0, confidence: 0.9, by: vec!["page".into()] }], 3, None)?;
/// assert_eq!((pool.labeled().len(), pool.pseudo().len(), pool.unlabeled().len()), (2, 1, 7));
/// assert_eq!(pool.pseudo()[&sample][0].round, 3);
/// assert_eq!(pool.lesson("links")?.samples(), [0, 1, sample]);
/// # Ok::<(), taskweave_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    pub(super) answers: Answers,
    pub(super) labeled: BTreeMap<usize, f64>,
    pub(super) pseudo: BTreeMap<usize, Vec<PseudoLabel>>,
    pub(super) unlabeled: BTreeSet<usize>,
    pub(super) window: Vec<usize>,
}

impl Pool {
    /// Labeled samples with their labels (a class as its number), and unlabeled ones.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a sample that comes twice, a label that is no class, labels of one class only, no label
    /// or no unlabeled sample at all; [`Error::NonFinite`] for a value that is not finite.
    pub fn new(
        answers: Answers,
        labeled: impl IntoIterator<Item = (usize, f64)>,
        unlabeled: impl IntoIterator<Item = usize>,
    ) -> Result<Self> {
        let mut pool = Self {
            answers,
            labeled: BTreeMap::new(),
            pseudo: BTreeMap::new(),
            unlabeled: BTreeSet::new(),
            window: Vec::new(),
        };
        let twice = |sample| Error::parameter("sample", "one that is labeled or unlabeled, and once", sample);
        for (sample, label) in labeled {
            answers.row(label)?;
            if pool.labeled.insert(sample, label).is_some() {
                return Err(twice(sample));
            }
        }
        for sample in unlabeled {
            if pool.labeled.contains_key(&sample) || !pool.unlabeled.insert(sample) {
                return Err(twice(sample));
            }
        }
        if pool.labeled.is_empty() {
            return Err(Error::parameter("labeled samples", "at least one", 0));
        }
        if pool.unlabeled.is_empty() {
            return Err(Error::parameter("unlabeled samples", "at least one", 0));
        }
        if let Answers::Classes(_) = answers {
            let present = pool.class_counts()?.into_iter().filter(|count| *count > 0).count();
            if present < 2 {
                return Err(Error::parameter("classes in the labeled samples", "at least two", present));
            }
        }
        Ok(pool)
    }

    /// What is said of a sample.
    pub fn answers(&self) -> Answers {
        self.answers
    }

    /// Samples with given labels.
    pub fn labeled(&self) -> &BTreeMap<usize, f64> {
        &self.labeled
    }

    /// Samples with guessed labels, and their guesses.
    pub fn pseudo(&self) -> &BTreeMap<usize, Vec<PseudoLabel>> {
        &self.pseudo
    }

    /// The guesses that a learner learns from, by sample.
    pub fn guesses(&self, learner: &str) -> impl Iterator<Item = (usize, &PseudoLabel)> {
        let all = self.pseudo.iter().flat_map(|(sample, guesses)| guesses.iter().map(|one| (*sample, one)));
        all.filter(move |(_, guess)| guess.is_for(learner))
    }

    /// Whether a learner has got a guess in a round; where it has not, there is nothing new to learn.
    pub fn is_new(&self, learner: &str, round: u64) -> bool {
        self.guesses(learner).any(|(_, guess)| guess.round == round)
    }

    /// Samples without labels.
    pub fn unlabeled(&self) -> &BTreeSet<usize> {
        &self.unlabeled
    }

    /// The unlabeled samples that are up for proposals, in random order.
    pub fn window(&self) -> &[usize] {
        &self.window
    }

    /// All samples that came without a label, whether they have a guess by now or not.
    pub fn without_given_label(&self) -> Vec<usize> {
        let all: BTreeSet<usize> = self.unlabeled.iter().chain(self.pseudo.keys()).copied().collect();
        all.into_iter().collect()
    }

    /// How many labeled samples each class has.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a pool of values.
    pub fn class_counts(&self) -> Result<Vec<usize>> {
        let Answers::Classes(classes) = self.answers else {
            return Err(Error::parameter("labels", "classes", "values"));
        };
        let mut counts = vec![0; classes];
        for label in self.labeled.values() {
            if let Some(count) = counts.get_mut(*label as usize) {
                *count += 1;
            }
        }
        Ok(counts)
    }

    /// Fills the window up to `size` unlabeled samples, drawn at random from those outside; all where there are fewer.
    pub fn replenish(&mut self, size: usize, rng: &Rng) -> &[usize] {
        let inside: BTreeSet<usize> = self.window.iter().copied().collect();
        let mut outside: Vec<usize> = self.unlabeled.difference(&inside).copied().collect();
        rng.fork("window").shuffle(&mut outside);
        self.window.extend(outside.into_iter().take(size.saturating_sub(inside.len())));
        self.window.truncate(size);
        &self.window
    }

    /// Empties the window, so that it is drawn anew.
    pub fn clear_window(&mut self) {
        self.window.clear();
    }

    /// Gives samples guessed labels, for all learners or for one, which may have none about them yet.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a sample that comes twice, is not one of this pool's without a given label, or has a guess
    /// already that is for the same learner; for a label that is no class. [`Error::NonFinite`] for a value that is not
    /// finite. Nothing has changed then.
    pub fn add(&mut self, proposals: &[Proposal], round: u64, to: Option<&str>) -> Result<()> {
        let mut new = BTreeSet::new();
        for proposal in proposals {
            self.answers.row(proposal.label)?;
            if !self.is_open(proposal.sample, to) || !new.insert(proposal.sample) {
                let expected = "one without a label for that learner, once";
                return Err(Error::parameter("sample to be labeled", expected, proposal.sample));
            }
        }
        for Proposal { sample, label, confidence, by } in proposals.iter().cloned() {
            self.unlabeled.remove(&sample);
            let guess = PseudoLabel { label, confidence, by, round, to: to.map(String::from) };
            self.pseudo.entry(sample).or_default().push(guess);
        }
        self.window.retain(|sample| !new.contains(sample));
        Ok(())
    }

    /// Gives a learner guesses in the place of those that are for it alone; a sample that is left without any is unlabeled
    /// again.
    ///
    /// # Errors
    /// Those of [`Pool::add`]. Nothing has changed then.
    ///
    /// # Example
    /// ```
    /// use taskweave_cotrain::learner::Answers;
    /// use taskweave_cotrain::pool::{Pool, Proposal};
    /// let mut pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], 2..10)?;
    /// let guess = |sample| Proposal { sample, label: 1.0, confidence: 0.9, by: vec!["b".into(), "c".into()] };
    /// pool.add(&[guess(2), guess(3)], 1, Some("a"))?;
    /// pool.replace(&[guess(3), guess(4)], 2, "a")?;
    /// assert_eq!(pool.guesses("a").map(|(sample, guess)| (sample, guess.round)).collect::<Vec<_>>(), [(3, 2), (4, 2)]);
    /// assert!(pool.unlabeled().contains(&2));
    /// # Ok::<(), taskweave_kernels::Error>(())
    /// ```
    pub fn replace(&mut self, proposals: &[Proposal], round: u64, to: &str) -> Result<()> {
        let mut replaced = self.clone();
        replaced.pseudo.retain(|sample, guesses| {
            guesses.retain(|guess| guess.to.as_deref() != Some(to));
            if guesses.is_empty() {
                replaced.unlabeled.insert(*sample);
            }
            !guesses.is_empty()
        });
        replaced.add(proposals, round, Some(to))?;
        *self = replaced;
        Ok(())
    }

    /// What a learner learns from: given labels, and the guesses that are for it, in this order.
    ///
    /// # Errors
    /// Those of [`Lesson::of_labels`].
    pub fn lesson(&self, learner: &str) -> Result<Lesson> {
        let given = self.labeled.iter().map(|(sample, label)| (*sample, *label));
        let guessed = self.guesses(learner).map(|(sample, guess)| (sample, guess.label));
        Lesson::of_labels(self.answers, given.chain(guessed))
    }

    /// Whether a sample may get a guess for a learner, or for all.
    fn is_open(&self, sample: usize, to: Option<&str>) -> bool {
        let open =
            |guesses: &Vec<PseudoLabel>| to.is_some_and(|to| !guesses.iter().any(|one| one.is_for(to)));
        self.unlabeled.contains(&sample) || self.pseudo.get(&sample).is_some_and(open)
    }
}

impl PseudoLabel {
    /// Whether a learner learns from it.
    pub fn is_for(&self, learner: &str) -> bool {
        self.to.as_deref().is_none_or(|to| to == learner)
    }

    /// Whether some learner would learn from both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.to.is_none() || other.to.is_none() || self.to == other.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    fn guess(sample: usize, label: f64) -> Proposal {
        Proposal { sample, label, confidence: 1.0, by: vec!["a".into()] }
    }

    #[test]
    fn what_is_no_problem_is_refused() {
        let two = [(0, 0.0), (1, 1.0)];
        let classes = Answers::Classes(2);
        let refused = |labeled: &[(usize, f64)], unlabeled: std::ops::Range<usize>| {
            let pool = Pool::new(classes, labeled.iter().copied(), unlabeled);
            matches!(pool, Err(Error::Parameter { .. }))
        };
        assert!(refused(&[(0, 1.0), (1, 1.0)], 2..4), "one class");
        assert!(refused(&two, 2..2), "no unlabeled sample");
        assert!(refused(&[], 2..4), "no label");
        assert!(refused(&two, 1..4), "a sample in both");
        assert!(refused(&[(0, 0.0), (0, 1.0)], 2..4), "a sample twice");
        assert!(refused(&[(0, 0.0), (1, 2.0)], 2..4), "a class too many");
        let values = Pool::new(Answers::Value, [(0, f64::NAN)], 1..3);
        assert!(matches!(values, Err(Error::NonFinite { .. })));
    }

    #[test]
    fn a_guess_about_a_sample_that_has_a_label_changes_nothing() {
        let mut pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], 2..6).unwrap();
        let before = pool.clone();
        for bad in
            [vec![guess(2, 0.0), guess(0, 1.0)], vec![guess(2, 0.0), guess(2, 0.0)], vec![guess(2, 7.0)]]
        {
            assert!(matches!(pool.add(&bad, 0, None), Err(Error::Parameter { .. })));
            assert_eq!(pool, before);
        }
    }

    #[test]
    fn a_guess_for_one_learner_is_no_lesson_for_another() {
        let mut pool = Pool::new(Answers::Value, [(0, 0.5)], 1..4).unwrap();
        pool.add(&[guess(2, 1.5)], 1, Some("b")).unwrap();
        assert_eq!(pool.lesson("a").unwrap().samples(), [0]);
        assert_eq!(pool.lesson("b").unwrap().samples(), [0, 2]);
        pool.add(&[guess(2, 2.5)], 2, Some("a")).unwrap();
        assert_eq!(pool.lesson("a").unwrap().targets().values(), [0.5, 2.5]);
        assert_eq!(pool.pseudo()[&2].len(), 2);
        let before = pool.clone();
        for to in [Some("a"), None] {
            assert!(matches!(pool.add(&[guess(2, 3.5)], 3, to), Err(Error::Parameter { .. })), "{to:?}");
        }
        assert!(matches!(pool.replace(&[guess(0, 3.5)], 3, "a"), Err(Error::Parameter { .. })));
        assert_eq!(pool, before);
    }

    #[test]
    fn a_sample_is_unlabeled_again_where_its_last_guess_is_withdrawn() {
        let mut pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], 2..6).unwrap();
        pool.add(&[guess(2, 0.0), guess(3, 0.0)], 1, Some("a")).unwrap();
        pool.add(&[guess(3, 1.0)], 1, Some("b")).unwrap();
        pool.replace(&[guess(4, 1.0)], 2, "a").unwrap();
        assert_eq!(pool.unlabeled().iter().copied().collect::<Vec<_>>(), [2, 5]);
        assert_eq!(pool.lesson("a").unwrap().samples(), [0, 1, 4]);
        assert_eq!(pool.lesson("b").unwrap().samples(), [0, 1, 3]);
        assert!(pool.is_new("a", 2) && !pool.is_new("b", 2));
    }

    proptest! {
        #[test]
        fn the_sets_stay_disjoint_and_complete(seed: u64, size in 0usize..20, rounds in 1u64..8) {
            let mut pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], 2..30).unwrap();
            for round in 0..rounds {
                let window = pool.replenish(size, &Rng::new(seed).fork_at(round)).to_vec();
                prop_assert_eq!(window.len(), size.min(pool.unlabeled().len()));
                prop_assert!(window.iter().all(|sample| pool.unlabeled().contains(sample)));
                let some: Vec<_> = window.iter().take(3).map(|sample| guess(*sample, 1.0)).collect();
                pool.add(&some, round, None).unwrap();
                prop_assert!(pool.pseudo().keys().all(|sample| !pool.unlabeled().contains(sample)));
                prop_assert_eq!(pool.without_given_label(), (2..30).collect::<Vec<_>>());
            }
        }
    }
}
