//! What every schedule must do. A new schedule is one more row of [`rows`].

use serde_json::{Value, json};
use taskweave_kernels::{Error, State};

use super::{Rate, RateConfig};

/// Every schedule, with parameters that are not its defaults.
fn rows() -> Vec<Value> {
    vec![
        json!({"name": "constant"}),
        json!({"name": "step", "step_size": 3, "gamma": 0.5}),
        json!({"name": "multi_step", "milestones": [2, 5], "gamma": 0.3}),
        json!({"name": "exponential", "gamma": 0.9}),
        json!({"name": "cosine", "period": 8, "minimum": 0.01}),
        json!({"name": "linear_warmup", "start_factor": 0.2, "epochs": 4}),
        json!({"name": "one_cycle", "maximum": 0.5, "total": 10, "pct_start": 0.4, "div_factor": 10.0,
            "final_div_factor": 100.0}),
        json!({"name": "reduce_on_plateau", "factor": 0.5, "patience": 1, "threshold": 0.01,
            "goal": "maximize", "minimum": 0.001}),
        json!({"name": "sequential", "milestones": [3], "parts": [
            {"name": "linear_warmup", "start_factor": 0.5, "epochs": 3},
            {"name": "reduce_on_plateau", "factor": 0.5, "patience": 0, "threshold": 0.0, "goal": "minimize",
                "minimum": 0.0},
        ]}),
    ]
}

fn config(row: &Value) -> RateConfig {
    serde_json::from_value(row.clone()).unwrap()
}

/// The rates of `times`, with a metric observed after each.
fn rates(schedule: &mut dyn Rate, base: f64, times: std::ops::Range<u64>) -> Vec<f64> {
    let one = |time| {
        let rate = schedule.rate(base, time);
        schedule.observe(time, [0.5, 0.4, 0.45][time as usize % 3]);
        rate
    };
    times.map(one).collect()
}

#[test]
fn rates_equal_the_reference() {
    let Some(golden) = golden() else { return };
    let base = golden["base"].as_f64().unwrap();
    let numbers = |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    for row in golden["rows"].as_array().unwrap() {
        let mut named = row["config"].clone();
        named["name"] = row["name"].clone();
        let mut schedule = config(&named).build().unwrap();
        let expected = numbers(&row["lr"]).into_iter().zip(numbers(&golden["plateau_metric"]));
        for (time, (expected, metric)) in expected.enumerate() {
            let found = schedule.rate(base, time as u64);
            schedule.observe(time as u64, metric);
            let error = (found - expected).abs() / expected;
            assert!(error <= golden["rtol"].as_f64().unwrap(), "{named} at {time}: {found}, not {expected}");
        }
    }
}

/// The reference rates, where they are at hand.
fn golden() -> Option<Value> {
    let folder = std::env::var("TASKWEAVE_GOLDEN")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden").into());
    let path = std::path::Path::new(&folder).join("schedules.json");
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

#[test]
fn a_restored_schedule_goes_on_where_it_was() {
    for row in rows() {
        let mut first = config(&row).build().unwrap();
        rates(first.as_mut(), 0.1, 0..7);
        let text = serde_json::to_string(&first.save().unwrap().values).unwrap();
        let state = State { values: serde_json::from_str(&text).unwrap(), ..State::default() };
        let mut second = config(&row).build().unwrap();
        second.restore(&state).unwrap();
        assert_eq!(rates(second.as_mut(), 0.1, 7..20), rates(first.as_mut(), 0.1, 7..20), "{row}");
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    for row in rows() {
        let mut schedule = config(&row).build().unwrap();
        let other = State::of(&"something else").unwrap();
        assert!(matches!(schedule.restore(&other), Err(Error::State { .. })), "{row}");
    }
}

#[test]
fn a_configuration_survives_the_file() {
    for row in rows() {
        assert_eq!(serde_json::to_value(config(&row)).unwrap(), row);
    }
}

#[test]
fn rates_stay_finite_and_positive_long_after_the_end() {
    for row in rows() {
        let schedule = config(&row).build().unwrap();
        for time in [0, 1, 50, 1000] {
            let rate = schedule.rate(0.1, time);
            assert!(rate.is_finite() && rate >= 0.0, "{row} at {time}: {rate}");
        }
        assert_eq!(schedule.rate(0.1, 5), schedule.rate(0.1, 5), "{row}");
    }
}

#[test]
fn the_rate_is_linear_in_the_base() {
    for row in rows() {
        // These two have rates of their own that do not scale.
        if row["name"] == "one_cycle" || row["name"] == "cosine" {
            continue;
        }
        let (mut one, mut two) = (config(&row).build().unwrap(), config(&row).build().unwrap());
        let doubled: Vec<_> = rates(one.as_mut(), 1.0, 0..9).iter().map(|rate| 2.0 * rate).collect();
        assert_eq!(rates(two.as_mut(), 2.0, 0..9), doubled, "{row}");
    }
}

#[test]
fn unknown_fields_and_values_out_of_range_are_refused() {
    let bad = [
        ("step", "step_size", json!(0)),
        ("step", "gamma", json!(0.0)),
        ("multi_step", "milestones", json!([5, 2])),
        ("multi_step", "gamma", json!(-0.1)),
        ("exponential", "gamma", json!(0.0)),
        ("cosine", "period", json!(0)),
        ("cosine", "minimum", json!(-1.0)),
        ("linear_warmup", "epochs", json!(0)),
        ("linear_warmup", "start_factor", json!(0.0)),
        ("one_cycle", "maximum", json!(0.0)),
        ("one_cycle", "total", json!(1)),
        ("one_cycle", "pct_start", json!(1.0)),
        ("one_cycle", "div_factor", json!(0.0)),
        ("one_cycle", "final_div_factor", json!(0.0)),
        ("reduce_on_plateau", "factor", json!(1.0)),
        ("reduce_on_plateau", "threshold", json!(-0.1)),
        ("reduce_on_plateau", "minimum", json!(-0.1)),
        ("sequential", "milestones", json!([])),
    ];
    for mut row in rows() {
        row["extra"] = json!(1);
        let error = serde_json::from_value::<RateConfig>(row.clone()).unwrap_err().to_string();
        assert!(error.contains("extra"), "{row}: {error}");
    }
    for (name, field, value) in bad {
        let mut row = rows().into_iter().find(|row| row["name"] == name).unwrap();
        row[field] = value;
        assert!(serde_json::from_value::<RateConfig>(row.clone()).is_err(), "{row}");
    }
}
