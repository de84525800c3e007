//! `RequestReadTimeout` in whole configurations.

use gk_config::diagnostic::Severity;
use gk_config::place::{Compiled, NoFiles};
use gk_config::site::Site;
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text};
use std::sync::Arc;

fn read(text: &str) -> Loaded {
    load_text("site.conf", text, &Memory::new(), &Surroundings::default())
}

fn site(text: &str) -> Site {
    read(text).into_result().unwrap_or_else(|said| panic!("{said:#?}")).0
}

#[test]
fn read_timeouts_as_apache_reads_them() {
    let stages = |text: &str| {
        let read = site(text).hosts[0].read_timeouts;
        [read.header, read.body].map(|stage| (stage.seconds, stage.longest, stage.min_rate))
    };
    let standard = [(20.0, 40.0, 500), (20.0, 0.0, 500)];
    let table = [
        ("", standard),
        ("RequestReadTimeout handshake=5-10,MinRate=100", standard),
        ("RequestReadTimeout header=10-30,minrate=1000", [(10.0, 30.0, 1000), standard[1]]),
        ("RequestReadTimeout Header=5 body=0", [(5.0, 0.0, 0), (0.0, 0.0, 0)]),
        (
            "RequestReadTimeout body=8,MinRate=50\nRequestReadTimeout header=6",
            [(6.0, 0.0, 0), (8.0, 0.0, 50)],
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(stages(text), wanted, "{text}");
    }
    for wrong in ["20", "header=20-40", "header=20-10,MinRate=5", "body=20,MinRate=0", "foot=3", "body=x"] {
        let loaded = read(&format!("RequestReadTimeout {wrong}\n"));
        assert!(loaded.has(Severity::Error), "{wrong}");
    }
}

#[test]
fn a_virtual_host_takes_the_stages_that_it_does_not_set() {
    let site = site(
        "RequestReadTimeout body=30\n<VirtualHost *:80>\nRequestReadTimeout header=9\n</VirtualHost>\n\
         <VirtualHost *:80>\nServerAlias *\n</VirtualHost>\n",
    );
    let [main, own, other] = [0, 1, 2].map(|host: usize| site.hosts[host].read_timeouts);
    assert_eq!((own.header.seconds, own.header.longest, own.body), (9.0, 0.0, main.body));
    assert_eq!(other, main);
    // Before a name is known, the first host of the address counts, whatever the others' names match.
    let compiled = Compiled::new(Arc::new(site), &NoFiles).unwrap();
    assert_eq!(compiled.first_host(Some(([127, 0, 0, 1], 80).into())), 1);
    assert_eq!(compiled.first_host(Some(([127, 0, 0, 1], 81).into())), 0);
}
