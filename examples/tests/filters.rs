//! `aggregate` and `scalarize` as programs: lines in, lines out, the values of other libraries, and lines that are none.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// An example as `cargo test` builds it, beside the folder of this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "no {}: `cargo build --examples` makes it", program.display());
    program
}

/// What a program answers to some lines, one for each.
fn answers(name: &str, lines: &[String]) -> Vec<Value> {
    let mut child = Command::new(program(name)).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, text) = (child.stdin.take().unwrap(), lines.join("\n"));
    // A program that writes while nobody reads would wait, and so would we.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{name}: {}", output.status);
    let found = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), lines.len(), "{name}");
    found
}

/// The content of a golden file; `None`, with a message, where there is none.
fn golden(file: &str) -> Option<Value> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    let path = std::env::var_os("TASKWEAVE_GOLDEN").map_or_else(beside, PathBuf::from).join(file);
    if !path.exists() {
        eprintln!("skipped: no golden values at {}", path.display());
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

/// Each method of each case: the line that asks for it, and what the file says.
fn requests<'a>(file: &'a Value, parts: &[&str]) -> (Vec<String>, Vec<&'a Value>) {
    let cases = file["cases"].as_array().unwrap().iter();
    let both = cases.flat_map(|case| case["methods"].as_array().unwrap().iter().map(move |row| (case, row)));
    let line = |(case, row): (&Value, &'a Value)| {
        let mut line = json!({ "method": row["method"] });
        parts.iter().for_each(|part| line[*part] = case[*part].clone());
        (line.to_string(), row)
    };
    both.map(line).unzip()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn assert_close(found: &Value, expected: &Value, (rtol, atol): (f64, f64), what: &str) {
    let (found, expected) = (numbers(found), numbers(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= rtol * b.abs() + atol, "{what}: found {a}, expected {b}");
    }
}

#[test]
fn gradients_are_those_of_other_libraries() {
    let Some(file) = golden("aggregation.json") else { return };
    let (lines, rows) = requests(&file, &["jacobian"]);
    assert!(rows.len() >= 100);
    for (found, row) in answers("aggregate", &lines).iter().zip(rows) {
        let (what, rtol) = (row["method"].to_string(), row["rtol"].as_f64().unwrap());
        let largest = numbers(&row["gradient"]).iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        assert_close(&found["gradient"], &row["gradient"], (rtol, rtol * largest), &what);
        if !found["weights"].is_null() && !row["weights"].is_null() {
            assert_close(&found["weights"], &row["weights"], (rtol, 1e-9), &what);
        }
    }
}

#[test]
fn values_and_weights_are_those_of_other_libraries() {
    let Some(file) = golden("scalarization.json") else { return };
    let (lines, rows) = requests(&file, &["losses", "after"]);
    assert!(rows.len() >= 36);
    for (found, row) in answers("scalarize", &lines).iter().zip(rows) {
        let (what, tolerance) = (row["method"].to_string(), (row["rtol"].as_f64().unwrap(), 0.0));
        let steps = [found, row].map(|from| from["steps"].as_array().unwrap());
        assert_eq!(steps[0].len(), steps[1].len(), "{what}");
        for (found, expected) in steps[0].iter().zip(steps[1]) {
            assert_close(&json!([found["value"]]), &json!([expected["value"]]), tolerance, &what);
            assert_close(&found["weights"], &expected["weights"], tolerance, &what);
        }
    }
}

/// Each line that is refused, and a word of the reason; one that is not comes after all of them.
fn refuses(name: &str, refused: &[(&str, &str)], fine: &str, part: &str) {
    let lines = refused.iter().map(|(line, _)| *line).chain([fine]);
    let found = answers(name, &lines.map(String::from).collect::<Vec<_>>());
    for ((line, reason), found) in refused.iter().zip(&found) {
        let error = found["error"].as_str().unwrap_or_default();
        assert!(error.contains(reason), "{line}: {found}");
    }
    assert!(found[refused.len()][part].is_array(), "{found:?}");
}

#[test]
fn lines_that_are_no_request_are_answered_and_the_next_is_read() {
    let fine = r#"{"jacobian": [[1, 2], [3, -4]], "method": {"name": "upgrad"}}"#;
    refuses(
        "aggregate",
        &[
            ("nonsense", "standard input"),
            ("[1", "standard input"),
            (r#"{"jacobian": [[1, 2]]}"#, "method"),
            (r#"{"jacobian": [], "method": {"name": "mean"}}"#, "at least"),
            (r#"{"jacobian": [[1], [1, 2]], "method": {"name": "mean"}}"#, "`gradient` of `1`"),
            (r#"{"jacobian": [[1e999]], "method": {"name": "mean"}}"#, "standard input"),
            (r#"{"jacobian": [[NaN]], "method": {"name": "mean"}}"#, "standard input"),
            (r#"{"jacobian": [[1, 2]], "method": {"name": "upgard"}}"#, "upgard"),
            (
                r#"{"jacobian": [[1, 2]], "method": {"name": "cagrad", "c": -1}}"#,
                "c: expected a finite number",
            ),
            (r#"{"jacobian": [[1, 2]], "method": {"name": "cagrad", "d": 1}}"#, "unknown field `d`"),
            (r#"{"jacobian": [[1, 2]], "method": {"name": "mean"}, "extra": 1}"#, "unknown field `extra`"),
        ],
        fine,
        "gradient",
    );
    let fine = r#"{"losses": [[1, 2]], "method": {"name": "sum"}}"#;
    refuses(
        "scalarize",
        &[
            ("{}", "losses"),
            (r#"{"losses": [[1, 2]], "method": {"name": "fama"}}"#, "fama"),
            (r#"{"losses": [[1, 2]], "method": {"name": "dwa", "temperature": 0}}"#, "temperature"),
            (r#"{"losses": [[1, 2], [1]], "method": {"name": "famo"}}"#, "after"),
            (r#"{"losses": [[]], "method": {"name": "sum"}}"#, "at least"),
            (r#"{"losses": [[-1, 2]], "method": {"name": "log_loss"}}"#, "loss of `0`"),
        ],
        fine,
        "steps",
    );
}
