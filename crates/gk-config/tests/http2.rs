//! `Protocols` and the directives of mod_http2 in whole configurations.

use gk_config::diagnostic::Severity;
use gk_config::site::{Host, Http2, Protocols};
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text};

fn read(text: &str) -> Loaded {
    load_text("site.conf", text, &Memory::new(), &Surroundings::default())
}

fn hosts(text: &str) -> Vec<Host> {
    read(text).into_result().unwrap_or_else(|said| panic!("{text}: {said:#?}")).0.hosts
}

#[test]
fn protocols_as_apache_reads_them() {
    let of = |http1, h2, h2c| Protocols { http1, h2, h2c };
    let table = [
        ("", of(true, false, false)),
        ("Protocols h2 http/1.1", of(true, true, false)),
        ("Protocols H2C", of(false, false, true)),
        ("Protocols h2\nProtocols h2c http/1.1", of(true, true, true)),
        ("Protocols h2 http/1.1 acme-tls/1", of(true, true, false)),
    ];
    for (text, wanted) in table {
        assert_eq!(hosts(text)[0].protocols, wanted, "{text}");
    }
    let loaded = read("Protocols h2 spdy/3\n");
    assert!(loaded.has(Severity::Warning) && !loaded.has(Severity::Error), "{:#?}", loaded.diagnostics);
    assert!(read("Protocols\n").has(Severity::Error));
}

#[test]
fn a_virtual_host_takes_what_it_does_not_set_from_the_main_server() {
    let hosts = hosts(
        "Protocols h2c http/1.1\nH2MaxSessionStreams 20\nH2Direct off\n\
         <VirtualHost *:80>\nH2WindowSize 131072\nH2Direct on\n</VirtualHost>\n\
         <VirtualHost *:80>\nServerAlias *\nProtocols http/1.1\nH2StreamTimeout 7\n</VirtualHost>\n",
    );
    let standard = Http2::STANDARD;
    let main = Http2 { max_session_streams: 20, direct: Some(false), ..standard };
    let own = Http2 { window_size: 131_072, direct: Some(true), ..main };
    let other = Http2 { stream_timeout: Some(7.0), ..main };
    assert_eq!(hosts.iter().map(|host| host.http2).collect::<Vec<_>>(), [main, own, other]);
    assert_eq!(hosts.iter().map(|host| host.protocols.h2c).collect::<Vec<_>>(), [true, true, false]);
    assert!(standard.is_direct(false) && !standard.is_direct(true) && own.is_direct(true));
    assert!(!main.is_direct(false));
}

#[test]
fn every_directive_of_mod_http2_is_known_and_wrong_values_are_errors() {
    for line in [
        "H2MaxSessionStreams 0",
        "H2MaxSessionStreams many",
        "H2WindowSize 1023",
        "H2WindowSize 2147483648",
        "H2Direct maybe",
        "H2StreamTimeout -1",
        "H2MaxStreamErrors x",
        "H2MaxSesionStreams 10",
    ] {
        assert!(read(&format!("{line}\n")).has(Severity::Error), "{line}");
    }
    for line in [
        "H2MaxDataFrameLen 16384",
        "H2MaxStreamErrors 0",
        "H2StreamTimeout 0",
        "<Location /x>\nH2StreamTimeout 5\nH2Push off\nH2Upgrade on\nH2CopyFiles on\nH2EarlyHint Link x\n</Location>",
        "H2ModernTLSOnly off",
        "H2MinWorkers 5\nH2MaxWorkers 10\nH2MaxWorkerIdleSeconds 600",
        "H2StreamMaxMemSize 65536\nH2MaxHeaderBlockLen 65536",
        "H2PushPriority * after 16\nH2PushDiarySize 256\nH2PushResource /app.css",
        "H2TLSWarmUpSize 1048576\nH2TLSCoolDownSecs 1\nH2Padding 0\nH2OutputBuffering off\nH2WebSockets off",
        "H2SerializeHeaders on\nH2SessionExtraFiles 5\nH2AltSvc h2=:443\nH2EarlyHints on",
    ] {
        let loaded = read(&format!("{line}\n"));
        assert!(
            !loaded.has(Severity::Warning) && !loaded.has(Severity::Error),
            "{line}: {:#?}",
            loaded.diagnostics
        );
    }
}
