//! The lists of `SSLCipherSuite`: OpenSSL's language, over the suites that are spoken here. Names that OpenSSL has and rustls has
//! not are told apart from names that nobody has. A keyword stands for those of its suites that are spoken: all of these are
//! authenticated, have a fresh key for each connection, and 128 bits or more, so `HIGH` is all of them and `!aNULL` takes none away.

use gk_rules::Mistake;

/// What a list comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The suites by rustls's names, best first.
    pub suites: Vec<&'static str>,
    /// Names in the list that OpenSSL knows and that are not spoken here.
    pub lacking: Vec<String>,
}

/// A suite of TLS 1.2.
struct Suite {
    openssl: &'static str,
    rustls: &'static str,
    ecdsa: bool,
    cipher: Cipher,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes256,
    ChaCha20,
}

const fn suite(openssl: &'static str, rustls: &'static str, ecdsa: bool, cipher: Cipher) -> Suite {
    Suite { openssl, rustls, ecdsa, cipher }
}

/// In OpenSSL's own order, in which a keyword adds them.
#[rustfmt::skip]
static TLS12: [Suite; 6] = [
    suite("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", true, Cipher::Aes256),
    suite("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", false, Cipher::Aes256),
    suite("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", true, Cipher::ChaCha20),
    suite("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", false, Cipher::ChaCha20),
    suite("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", true, Cipher::Aes128),
    suite("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", false, Cipher::Aes128),
];

/// Names of TLS 1.3 with rustls's.
const TLS13: [(&str, &str); 3] = [
    ("TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"),
    ("TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256"),
];

/// Suites of TLS 1.3 that rustls has not.
const TLS13_LACKING: [&str; 4] =
    ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256", "TLS_SHA256_SHA256", "TLS_SHA384_SHA384"];

/// Keywords of suites of which none is spoken here.
#[rustfmt::skip]
const NONE: &[&str] = &[
    "COMPLEMENTOFDEFAULT", "COMPLEMENTOFALL", "MEDIUM", "LOW", "EXP", "EXPORT", "EXPORT40", "EXPORT56", "eNULL", "NULL", "aNULL",
    "kRSA", "RSA", "kDHr", "kDHd", "kDH", "kDHE", "kEDH", "DH", "DHE", "EDH", "ADH", "AECDH", "kECDHr", "kECDHe", "kECDH", "aECDH",
    "aDSS", "DSS", "aDH", "aKRB5", "kKRB5", "KRB5", "kPSK", "kECDHEPSK", "kDHEPSK", "kRSAPSK", "aPSK", "PSK", "kSRP", "aSRP", "SRP",
    "kGOST", "kGOST18", "aGOST", "aGOST01", "aGOST12", "GOST94", "GOST89", "GOST89MAC", "GOST12", "kFZA", "aFZA", "eFZA", "FZA",
    "SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "AESCCM", "AESCCM8", "ARIA", "ARIA128", "ARIA256", "ARIAGCM", "CAMELLIA", "CAMELLIA128",
    "CAMELLIA256", "CBC", "3DES", "DES", "RC4", "RC2", "IDEA", "SEED", "MD5", "SHA1", "SHA", "SHA256", "SHA384",
];

/// Parts of which the names of OpenSSL's suites are made.
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "ECDHE", "ECDH", "DHE", "EDH", "DH", "ADH", "AECDH", "RSA", "ECDSA", "DSS", "DSA", "PSK", "SRP", "KRB5", "EXP", "EXP1024", "NULL",
    "AES128", "AES256", "GCM", "CCM", "CCM8", "ARIA128", "ARIA256", "CAMELLIA128", "CAMELLIA256", "CHACHA20", "POLY1305", "DES",
    "3DES", "CBC", "CBC3", "EDE", "RC2", "RC4", "IDEA", "SEED", "MD5", "SHA", "SHA256", "SHA384", "64", "56", "40", "128", "GOST2001",
    "GOST94", "GOST2012", "GOST8912", "GOST89", "IANA", "KUZNYECHIK", "MAGMA", "KUZNYECHIKOMAC", "MAGMAOMAC",
];

/// The suites of TLS 1.2 that a name or keyword stands for; `None`: it is none.
fn named(name: &str) -> Option<[bool; 6]> {
    let all = |which: &dyn Fn(&Suite) -> bool| Some(TLS12.each_ref().map(which));
    let of = |cipher: Cipher| all(&move |suite: &Suite| suite.cipher == cipher);
    match name {
        "ALL" | "DEFAULT" | "CDEFAULT" | "HIGH" | "TLSv1.2" | "ECDH" | "ECDHE" | "EECDH" | "kECDHE"
        | "kEECDH" => all(&|_| true),
        "aRSA" => all(&|suite| !suite.ecdsa),
        "aECDSA" | "ECDSA" => all(&|suite| suite.ecdsa),
        "AES" | "AESGCM" | "FIPS" => all(&|suite| suite.cipher != Cipher::ChaCha20),
        "AES128" => of(Cipher::Aes128),
        "AES256" => of(Cipher::Aes256),
        "CHACHA20" => of(Cipher::ChaCha20),
        "SUITEB128" => all(&|suite| suite.ecdsa && suite.cipher != Cipher::ChaCha20),
        "SUITEB128ONLY" => all(&|suite| suite.ecdsa && suite.cipher == Cipher::Aes128),
        "SUITEB128C2" | "SUITEB192" => all(&|suite| suite.ecdsa && suite.cipher == Cipher::Aes256),
        name if NONE.contains(&name) => all(&|_| false),
        name => TLS12
            .iter()
            .any(|suite| [suite.openssl, suite.rustls].contains(&name))
            .then(|| TLS12.each_ref().map(|suite| [suite.openssl, suite.rustls].contains(&name))),
    }
}

/// Whether it is the name of a suite that OpenSSL has, or had.
fn is_lacking(name: &str) -> bool {
    let by_iana = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.contains("_WITH_"));
    by_iana("TLS_")
        || by_iana("SSL_")
        || name.contains('-') && name.split('-').all(|part| PARTS.contains(&part))
}

/// Reads the list of the suites up to TLS 1.2.
pub fn tls12(text: &str) -> Result<Chosen, Mistake> {
    // Inactive ones first, in the order in which they would be added.
    let mut suites: Vec<(usize, bool)> = (0..TLS12.len()).map(|index| (index, false)).collect();
    let mut lacking: Vec<String> = Vec::new();
    for word in text.split([':', ',', ';', ' ']).filter(|word| !word.is_empty()) {
        let (list, command) =
            word.split_once('@').map_or((word, None), |(list, command)| (list, Some(command)));
        if !list.is_empty() {
            let (operator, name) = match list.as_bytes()[0] {
                sign @ (b'!' | b'-' | b'+') => (sign, &list[1..]),
                _ => (b' ', list),
            };
            match meant(name) {
                Some(found) => apply(&mut suites, operator, found),
                None if operator != b' ' => {}
                None if is_lacking(name) => lacking.push(name.to_owned()),
                None => return Err(unknown(name)),
            }
        }
        match command {
            None => {}
            Some("STRENGTH") => {
                suites.sort_by_key(|(index, active)| *active && TLS12[*index].cipher == Cipher::Aes128);
            }
            Some(command) if command.strip_prefix("SECLEVEL=").is_some_and(|level| level.len() == 1) => {}
            Some(command) => {
                return Err(Mistake::new(format!("`@{command}` is no command of a list of suites")));
            }
        }
    }
    let suites: Vec<&str> =
        suites.iter().filter(|(_, active)| *active).map(|(index, _)| TLS12[*index].rustls).collect();
    if suites.is_empty() {
        let spoken: Vec<&str> = TLS12.iter().map(|suite| suite.openssl).collect();
        let mistake = Mistake::new("this list leaves no suite that is spoken here");
        return Err(mistake.hint(format!("spoken are {}; `HIGH` means all of them", spoken.join(", "))));
    }
    Ok(Chosen { suites, lacking })
}

/// The suites that all parts of `A+B` stand for.
fn meant(name: &str) -> Option<[bool; 6]> {
    let mut found = [true; 6];
    for part in name.split('+') {
        let own = named(part)?;
        found.iter_mut().zip(own).for_each(|(all, own)| *all &= own);
    }
    Some(found)
}

/// OpenSSL keeps one list of all suites, some of them active, and moves what a word is about.
fn apply(suites: &mut Vec<(usize, bool)>, operator: u8, found: [bool; 6]) {
    let taken = |(index, active): &(usize, bool)| found[*index] && (*active == (operator != b' '));
    let (moved, kept): (Vec<_>, Vec<_>) = match operator {
        b'!' => (Vec::new(), suites.iter().copied().filter(|(index, _)| !found[*index]).collect()),
        _ => suites.iter().copied().partition(taken),
    };
    let moved = moved.into_iter().map(|(index, _)| (index, operator != b'-'));
    *suites = match operator {
        b'-' => moved.chain(kept).collect(),
        _ => kept.into_iter().chain(moved).collect(),
    };
}

/// Reads the list of the suites of TLS 1.3: names only.
pub fn tls13(text: &str) -> Result<Chosen, Mistake> {
    let mut chosen = Chosen::default();
    for name in text.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        match TLS13.iter().find(|(openssl, rustls)| [*openssl, *rustls].contains(&name)) {
            Some((_, rustls)) if chosen.suites.contains(rustls) => {}
            Some((_, rustls)) => chosen.suites.push(rustls),
            None if TLS13_LACKING.contains(&name) => chosen.lacking.push(name.to_owned()),
            None => return Err(unknown(name)),
        }
    }
    if chosen.suites.is_empty() {
        let spoken: Vec<&str> = TLS13.iter().map(|(name, _)| *name).collect();
        let mistake = Mistake::new("this list leaves no suite of TLS 1.3 that is spoken here");
        return Err(mistake.hint(format!("spoken are {}", spoken.join(", "))));
    }
    Ok(chosen)
}

/// Whether it is the name of a suite of TLS 1.3.
pub fn is_of_tls13(name: &str) -> bool {
    TLS13.iter().any(|(openssl, _)| *openssl == name) || TLS13_LACKING.contains(&name)
}

fn unknown(name: &str) -> Mistake {
    let mistake = Mistake::new(format!("`{name}` is no suite, and no keyword for suites"));
    let words = ["ALL", "HIGH", "DEFAULT", "ECDHE", "EECDH", "AESGCM", "CHACHA20", "aRSA", "ECDSA"];
    let names =
        TLS12.iter().map(|suite| suite.openssl).chain(TLS13.iter().map(|(name, _)| *name)).chain(words);
    if is_of_tls13(name) {
        return mistake.hint("it is a suite of TLS 1.3: write `SSLCipherSuite TLSv1.3 NAMES`");
    }
    match crate::nearest::nearest(name, names) {
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake,
    }
}

#[cfg(test)]
#[path = "suites_tests.rs"]
mod tests;
