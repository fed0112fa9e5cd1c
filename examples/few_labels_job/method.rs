//! How the networks are taught, and which of them are judged.

use serde_json::json;
use taskweave::cotrain::teaching::TeachingConfig;
use taskweave::prelude::*;

use super::{Job, Plan};

/// The terms that a method is judged by.
pub fn judged(method: &str) -> Vec<String> {
    let terms: &[&str] = match method {
        "supervised" => &["class@a"],
        "mutual learning" | "deep co-training" => &["class@a", "class@b"],
        _ => &["class@mean"],
    };
    terms.iter().map(|term| term.to_string()).collect()
}

pub fn method(job: &Job, plan: &Plan) -> Result<TeachingConfig> {
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
