//! The file of speedscope: frames, and one profile of stacks with their weights.

use super::stacks;
use crate::kept::profiles::Profiled;
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) fn file(profiled: &Profiled) -> Value {
    let profile = &profiled.profile;
    // A frame is a line of a function, however it was reached.
    let (mut known, mut frames) = (HashMap::new(), Vec::new());
    let mut frame_of: Vec<usize> = Vec::with_capacity(profile.calls.len());
    for call in &profile.calls {
        let frame = *known.entry((call.function, call.line)).or_insert_with(|| {
            let function = profile.functions.get(call.function).cloned().unwrap_or_default();
            frames.push(if function.file.is_empty() {
                json!({"name": function.name})
            } else {
                json!({"name": function.name, "file": function.file, "line": call.line})
            });
            frames.len() - 1
        });
        frame_of.push(frame);
    }
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    for (call, stack) in stacks(profile) {
        samples.push(stack.into_iter().filter_map(|call| frame_of.get(call)).copied().collect::<Vec<_>>());
        weights.push(call.ns);
    }
    let name = format!("request threads, {} s", profiled.seconds);
    json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": format!("gilkeeper {}", gk_wire::PACKAGE_VERSION),
        "name": name,
        "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": [{
            "type": "sampled", "name": name, "unit": "nanoseconds",
            "startValue": 0, "endValue": weights.iter().sum::<u64>(),
            "samples": samples, "weights": weights,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn stacks_refer_to_frames() {
        let file = super::file(&example());
        let profile = &file["profiles"][0];
        assert_eq!(profile["samples"].to_string(), "[[0,1],[0,1,2],[0,1,3]]");
        assert_eq!(profile["weights"].to_string(), "[20000000,60000000,40000000]");
        assert_eq!(profile["endValue"], 120_000_000);
        assert_eq!(
            file["shared"]["frames"][3].to_string(),
            r#"{"file":"/srv/app.py","line":8,"name":"<lambda>"}"#
        );
    }
}
