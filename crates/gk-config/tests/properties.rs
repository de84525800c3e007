//! Properties: no input makes the parser panic; what `serve` writes is read back as it was; the innermost layer wins.

use gk_config::express::{self, ServeOptions};
use gk_config::place::{Compiled, NoFiles, collapse};
use gk_config::site::{Settings, SettingsPatch};
use gk_config::source::Memory;
use gk_config::token::{Split, logical_lines, quote, words};
use gk_config::{Surroundings, directives, load_text, report};
use proptest::prelude::*;
use std::sync::Arc;

fn surroundings() -> Surroundings {
    Surroundings { directory: "/srv".into(), ..Surroundings::default() }
}

/// Lines that look like a configuration: known names, sections, odd words.
fn configuration() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = directives::all().map(|row| row.name).collect();
    let name = prop::sample::select(names);
    let word = prop_oneof![
        "[a-z0-9/.:*-]{1,12}",
        "[a-z-]{1,12}=[^\n]{0,8}",
        Just("%{GLOBAL}".to_owned()),
        Just("${X}".to_owned()),
        Just("On".to_owned()),
        Just("\"".to_owned()),
        "\\PC{0,6}",
    ];
    let line = (name, prop::collection::vec(word, 0..5), 0..4u8).prop_map(|(name, words, form)| {
        let words = words.join(" ");
        match (name.strip_prefix('<').and_then(|n| n.strip_suffix('>')), form) {
            (Some(section), 0) => format!("</{section}>"),
            (Some(section), _) => format!("<{section} {words}>"),
            (None, 3) => format!("Define X {words}\\"),
            (None, _) => format!("{name} {words}"),
        }
    });
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

fn patch() -> impl Strategy<Value = SettingsPatch> {
    let env = prop::option::of(prop::collection::btree_map("[AB]", "[12]", 0..3));
    let unset = prop::option::of(prop::collection::vec("[AB]", 0..2));
    (prop::option::of("[a-c]"), prop::option::of(any::<bool>()), env, unset).prop_map(
        |(group, pass, env, unset)| SettingsPatch {
            process_group: group,
            pass_authorization: pass,
            env,
            unset_env: unset,
            ..SettingsPatch::default()
        },
    )
}

/// Numbers of a site, wherever they are in it.
fn numbers(value: &serde_json::Value, into: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(number) => into.extend(number.as_f64()),
        serde_json::Value::Array(all) => all.iter().for_each(|value| numbers(value, into)),
        serde_json::Value::Object(all) => all.values().for_each(|value| numbers(value, into)),
        _ => {}
    }
}

/// Reported: a number that was too big panicked or became 0. One parser bounds them all, so that no sum of two overflows.
#[test]
fn no_directive_lets_a_number_through_that_is_too_big() {
    let bad = ["9007199254740993", "18446744073709551616", "99999999999999999999999", "-1", "1e400", "inf"];
    for row in directives::all().filter(|row| !row.name.starts_with('<')) {
        for number in bad {
            for words in [number.to_owned(), format!("header={number} body={number}"), format!("{number}ms")]
            {
                let text = format!("WSGIDaemonProcess one\n{} {words}\n", row.name);
                let Some(site) = load_text("t", &text, &Memory::new(), &surroundings()).site else {
                    continue;
                };
                let mut all = Vec::new();
                numbers(&serde_json::to_value(&site).unwrap(), &mut all);
                let most = (1u64 << 53) as f64;
                assert!(all.iter().all(|number| (0.0..=most).contains(number)), "{text}: {all:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*|[<>/\"'\\\\ \\n#=$%{}A-Za-z]{0,200}") {
        let loaded = load_text("t", &text, &Memory::new(), &surroundings());
        let _ = report::text(&loaded);
    }

    #[test]
    fn anything_like_a_configuration_is_read_without_panic(text in configuration()) {
        let loaded = load_text("t", &text, &Memory::new(), &surroundings());
        let _ = report::json(&loaded);
        for said in &loaded.diagnostics {
            prop_assert!(said.line >= 1 && said.column >= 1, "{said:?}");
            let _ = said.render();
        }
        if let Some(site) = loaded.site {
            let compiled = Compiled::new(Arc::new(site), &NoFiles).map_err(TestCaseError::fail)?;
            let _ = compiled.find(0, b"/a/b");
            let _ = compiled.settings(0, b"/a", None);
        }
    }

    #[test]
    fn quoted_words_are_read_back(values in prop::collection::vec("[^\n\r]{0,20}", 1..5)) {
        let line = format!("Name {}", values.iter().map(|v| quote(v)).collect::<Vec<_>>().join(" "));
        let lines = logical_lines(&line, 0);
        let read = words(&lines[0], Split::Words).map_err(|bad| TestCaseError::fail(bad.message))?;
        let texts: Vec<&str> = read[1..].iter().map(|w| w.text.as_str()).collect();
        prop_assert_eq!(texts, values.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn serve_options_are_read_back(value in "[^\n\r\0]{1,30}", home in "[^\n\r\0:]{1,20}", threads in 1u32..99) {
        let options = ServeOptions::new("wsgi.py")
            .with("setenv", ["NAME", &value])
            .with("python-path", [&home])
            .with("lang", [&value])
            .with("threads", [threads.to_string()]);
        let (site, said) = express::load(&options, &surroundings()).map_err(TestCaseError::fail)?;
        prop_assert!(said.is_empty());
        prop_assert_eq!(&site.hosts[0].base.env["NAME"], &value);
        prop_assert_eq!(site.groups[0].lang.as_deref(), Some(value.as_str()));
        prop_assert_eq!(&site.groups[0].python_path, &[std::path::Path::new("/srv").join(&home)]);
        prop_assert_eq!(site.groups[0].threads, threads);
    }

    #[test]
    fn a_layer_wins_whatever_lies_below(base in patch(), top in patch()) {
        let settings = Settings::default().patched(&base).patched(&top);
        prop_assert_eq!(&settings, &settings.patched(&top));
        if top.process_group.is_some() {
            prop_assert_eq!(settings.process_group, top.process_group);
        }
    }

    #[test]
    fn collapsing_twice_is_collapsing_once(path in "[/a]{0,20}") {
        let once = collapse(path.as_bytes()).into_owned();
        prop_assert!(!once.windows(2).any(|pair| pair == b"//"));
        prop_assert_eq!(&*collapse(&once), &once[..]);
    }
}
