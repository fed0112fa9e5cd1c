//! Saving a pool, and refusing a saved one that cannot be.

use std::collections::BTreeSet;

use taskweave_kernels::{Error, Result, State, Stateful};

use super::{Pool, PseudoLabel};

/// A saved pool fits one with the same given labels and the same samples without.
impl Stateful for Pool {
    fn save(&self) -> Result<State> {
        State::of(self)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: Self = state.read("Pool")?;
        let same = saved.answers == self.answers && saved.labeled == self.labeled;
        if !same || saved.without_given_label() != self.without_given_label() {
            return Err(Error::state("Pool", "the pool of the same samples and labels", "another one"));
        }
        saved.check()?;
        *self = saved;
        Ok(())
    }
}

impl Pool {
    /// Refuses what [`Pool::add`] and [`Pool::replenish`] cannot have made.
    fn check(&self) -> Result<()> {
        let odd = |sample: &usize, found: &str| {
            let expected = "each sample in one set, and one guess about it per learner";
            Error::state("Pool", expected, format!("sample {sample} {found}"))
        };
        for (sample, guesses) in &self.pseudo {
            if guesses.is_empty() || self.unlabeled.contains(sample) || self.labeled.contains_key(sample) {
                return Err(odd(sample, "in two sets or none"));
            }
            guesses.iter().try_for_each(|guess| self.answers.row(guess.label).map(drop))?;
            let twice = |(i, one): (usize, &PseudoLabel)| guesses[..i].iter().any(|other| one.meets(other));
            if guesses.iter().enumerate().any(twice) {
                return Err(odd(sample, "with two guesses for one learner"));
            }
        }
        let mut seen = BTreeSet::new();
        match self.window.iter().find(|sample| !self.unlabeled.contains(sample) || !seen.insert(**sample)) {
            Some(sample) => Err(odd(sample, "twice in the window, or there with a label")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use taskweave_kernels::Rng;

    use super::super::Proposal;
    use super::*;
    use crate::learner::Answers;

    fn guess(sample: usize, label: f64) -> Proposal {
        Proposal { sample, label, confidence: 1.0, by: vec!["a".into()] }
    }

    #[test]
    fn a_saved_pool_that_no_session_can_have_left_is_refused() {
        let mut pool = Pool::new(Answers::Classes(2), [(0, 0.0), (1, 1.0)], 2..6).unwrap();
        pool.add(&[guess(2, 0.0)], 1, Some("a")).unwrap();
        pool.add(&[guess(2, 1.0)], 1, Some("b")).unwrap();
        pool.replenish(2, &Rng::new(0));
        pool.restore(&pool.save().unwrap()).unwrap();
        let before = pool.clone();
        let to = |learner: Option<&str>| {
            let mut guess = before.pseudo[&2][0].clone();
            guess.to = learner.map(String::from);
            guess
        };
        let bad: [fn(&mut Pool, PseudoLabel); 5] = [
            |pool, _| pool.unlabeled.extend([2]),
            |pool, guess| pool.pseudo.entry(2).or_default().push(guess),
            |pool, guess| pool.pseudo.entry(2).or_default().push(PseudoLabel { to: None, ..guess }),
            |pool, _| pool.window.push(2),
            |pool, _| pool.window.push(pool.window[0]),
        ];
        for (i, spoil) in bad.into_iter().enumerate() {
            let mut spoiled = before.clone();
            spoil(&mut spoiled, to(Some("a")));
            let refused = pool.restore(&spoiled.save().unwrap());
            assert!(matches!(refused, Err(Error::State { .. })), "{i}: {refused:?}");
            assert_eq!(pool, before);
        }
        let mut third = before.clone();
        third.pseudo.entry(2).or_default().push(to(Some("c")));
        pool.restore(&third.save().unwrap()).unwrap();
        third.pseudo.entry(2).or_default()[0].label = 7.0;
        assert!(matches!(pool.restore(&third.save().unwrap()), Err(Error::Parameter { .. })));
    }
}
