//! Any text as a configuration: read, resolved, reported and compiled without a panic.
#![no_main]

use gk_config::place::{Compiled, NoFiles};
use gk_config::source::Memory;
use gk_config::{Surroundings, load_text, report};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|text: &str| {
    let surroundings = Surroundings { directory: "/".into(), ..Surroundings::default() };
    // A text that may include itself.
    let files = Memory::new().with("/self.conf", text);
    let loaded = load_text("fuzz", text, &files, &surroundings);
    let _ = report::json(&loaded);
    if let Some(site) = loaded.site {
        let compiled = Compiled::new(Arc::new(site), &NoFiles).expect("a pattern that was accepted compiles");
        let _ = compiled.find(0, text.as_bytes());
        let _ = compiled.settings(0, text.as_bytes(), None);
    }
});
