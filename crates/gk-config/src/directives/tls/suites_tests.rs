//! Tests of [`super`]. What OpenSSL makes of the lists is its own answer (`openssl ciphers LIST`, OpenSSL 3.0.19), of the suites
//! that are spoken here.

use super::*;

/// `E2` for ECDHE-ECDSA-AES256…, `RC` for ECDHE-RSA-CHACHA20….
fn short(suites: &[&str]) -> String {
    let of = |name: &&str| {
        let suite = TLS12.iter().find(|suite| suite.rustls == *name).unwrap();
        let cipher = match suite.cipher {
            Cipher::Aes128 => '1',
            Cipher::Aes256 => '2',
            Cipher::ChaCha20 => 'C',
        };
        format!("{}{cipher}", if suite.ecdsa { 'E' } else { 'R' })
    };
    suites.iter().map(of).collect::<Vec<_>>().join(" ")
}

#[test]
fn lists_mean_what_openssl_makes_of_them() {
    for (list, want) in [
        ("ALL", "E2 R2 EC RC E1 R1"),
        ("HIGH:!aNULL:!MD5", "E2 R2 EC RC E1 R1"),
        ("DEFAULT", "E2 R2 EC RC E1 R1"),
        ("ALL:!ADH:+HIGH", "E2 R2 EC RC E1 R1"),
        ("EECDH+AESGCM:EDH+AESGCM:AES256+EECDH", "E2 R2 E1 R1"),
        ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:HIGH", "R1 E1 E2 R2 EC RC"),
        ("HIGH:-AES128:+AES256", "EC RC E2 R2"),
        ("AES", "E2 R2 E1 R1"),
        ("aRSA", "R2 RC R1"),
        ("CHACHA20:AESGCM", "EC RC E2 R2 E1 R1"),
        ("ALL:@STRENGTH", "E2 R2 EC RC E1 R1"),
        ("TLSv1.2", "E2 R2 EC RC E1 R1"),
        ("MEDIUM:LOW:AESGCM", "E2 R2 E1 R1"),
        ("ECDSA+AES", "E2 E1"),
        ("AES128:!ECDSA", "R1"),
        ("HIGH:-ECDHE:ECDHE-RSA-CHACHA20-POLY1305", "RC"),
        ("DEFAULT:-AES256:+CHACHA20", "E1 R1 EC RC"),
        ("AES:+AES128", "E2 R2 E1 R1"),
        ("AES:+AES256:@STRENGTH", "E2 R2 E1 R1"),
        ("FIPS", "E2 R2 E1 R1"),
        ("ALL:!CHACHA20 ECDHE", "E2 R2 E1 R1"),
        ("kEECDH", "E2 R2 EC RC E1 R1"),
        ("DEFAULT@SECLEVEL=2", "E2 R2 EC RC E1 R1"),
        ("AES128+aRSA:AES256", "R1 E2 R2"),
        ("HIGH:!kRSA:!RSA", "E2 R2 EC RC E1 R1"),
        ("HIGH:!SHA384", "E2 R2 EC RC E1 R1"),
        ("ALL:!AES128+aRSA", "E2 R2 EC RC E1"),
        ("ECDHE:!AESGCM:ECDHE-RSA-AES128-GCM-SHA256", "EC RC"),
        ("ECDHE:-AESGCM:ECDHE-RSA-AES128-GCM-SHA256", "EC RC R1"),
        ("SUITEB192", "E2"),
    ] {
        assert_eq!(tls12(list).map(|chosen| short(&chosen.suites)), Ok(want.to_owned()), "{list}");
    }
}

#[test]
fn names_that_are_not_spoken_are_told_apart_from_names_that_are_none() {
    // certbot's list: two of its suites are not spoken.
    let list = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384";
    let chosen = tls12(list).unwrap();
    assert_eq!(short(&chosen.suites), "E1 R1");
    assert_eq!(chosen.lacking, ["DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384"]);
    for (list, message) in [
        ("DES-CBC3-SHA:RC4-SHA", "leaves no suite"),
        ("RSA:SHA384:TLSv1", "leaves no suite"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "leaves no suite"),
        ("HIGH:!ALL", "leaves no suite"),
        ("NOSUCH:HIGH", "`NOSUCH` is no suite"),
        ("high", "`high` is no suite"),
        ("ECDHE-RSA-AES218-GCM-SHA256", "`ECDHE-RSA-AES218-GCM-SHA256` is no suite"),
        ("TLS_AES_128_GCM_SHA256", "`TLS_AES_128_GCM_SHA256` is no suite"),
        ("HIGH:@NOSUCH", "`@NOSUCH` is no command"),
    ] {
        let mistake = tls12(list).unwrap_err();
        assert!(mistake.message.contains(message), "{list}: {mistake:?}");
    }
    // What is unknown and taken away takes nothing away.
    assert!(tls12("HIGH:!NOSUCH:-RC5:+X").is_ok());
    assert!(tls12("high").unwrap_err().hint.unwrap().contains("`HIGH`"));
    assert!(tls12("TLS_AES_128_GCM_SHA256").unwrap_err().hint.unwrap().contains("SSLCipherSuite TLSv1.3"));
}

#[test]
fn lists_of_tls_1_3_are_names() {
    let chosen = tls13("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256").unwrap();
    assert_eq!(chosen.suites, ["TLS13_CHACHA20_POLY1305_SHA256", "TLS13_AES_128_GCM_SHA256"]);
    assert_eq!(chosen.lacking, ["TLS_AES_128_CCM_SHA256"]);
    assert!(tls13("TLS_AES_128_CCM_8_SHA256").unwrap_err().message.contains("leaves no suite"));
    assert!(tls13("HIGH").unwrap_err().message.contains("`HIGH` is no suite"));
}

#[test]
fn names_are_those_that_a_site_may_hold() {
    let ours = TLS12.iter().map(|suite| suite.rustls).chain(TLS13.iter().map(|(_, name)| *name));
    let mut ours: Vec<&str> = ours.collect();
    let mut all = crate::site::HostTls::SUITES.to_vec();
    ours.sort_unstable();
    all.sort_unstable();
    assert_eq!(ours, all);
}
