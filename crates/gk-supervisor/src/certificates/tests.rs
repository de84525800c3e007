//! Tests of [`super`]: files that OpenSSL makes, read as the supervisor reads them.

use super::kept::{Change, Kept};
use super::*;
use crate::configuration::Configuration;
use gk_config::source::Memory;
use gk_config::{Surroundings, load_text};
use gk_wire::certificates::KeyForm;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const DAY: i64 = 86_400;

/// A folder with an authority, a server's certificate in two kinds, and what can go wrong with them.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=authority -days 30 -keyout ca.key -out ca.pem");
        folder.run(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a.example -addext subjectAltName=DNS:a.example,DNS:*.b.example \
             -keyout e.key -out e.csr",
        );
        folder.run("x509 -req -in e.csr -CA ca.pem -CAkey ca.key -days 20 -copy_extensions copy -out e.crt");
        folder.put("e.pem", &(folder.get("e.crt") + &folder.get("ca.pem")));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn get(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// `openssl`, in the folder.
    fn run(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A site with these lines in a host that speaks TLS.
    fn site(&self, lines: &str) -> Site {
        let text =
            format!("<VirtualHost *:443>\nServerName a.example\nSSLEngine on\n{lines}\n</VirtualHost>\n");
        let around = Surroundings { directory: self.0.path().to_owned(), ..Surroundings::default() };
        load_text("site.conf", &text, &Memory::new(), &around).site.unwrap()
    }

    fn read(&self, lines: &str) -> Result<Reading, String> {
        self.read_at(lines, now())
    }

    fn read_at(&self, lines: &str, now: i64) -> Result<Reading, String> {
        read(&self.site(lines), now)
            .map_err(|bad| refusal(&bad).0.replace(&format!("{}/", self.0.path().display()), ""))
    }
}

fn now() -> i64 {
    gk_sys::clock::epoch_seconds() as i64
}

fn files(certificate: &str, key: &str) -> String {
    format!("SSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}")
}

#[test]
fn keys_in_every_form_are_taken() {
    let folder = Folder::new();
    folder.run("ec -in e.key -out sec1.key");
    folder.run("req -x509 -newkey rsa:2048 -nodes -subj /CN=a.example -days 30 -keyout r.key -out r.crt");
    folder.run("rsa -in r.key -traditional -out pkcs1.key");
    folder.run("req -x509 -newkey ed25519 -nodes -subj /CN=a.example -days 30 -keyout d.key -out d.crt");
    folder.put("all.pem", &(folder.get("sec1.key") + &folder.get("e.pem")));
    for (lines, form, length) in [
        (files("e.pem", "e.key"), KeyForm::Pkcs8, 2),
        (files("e.pem", "sec1.key"), KeyForm::Sec1, 2),
        (files("r.crt", "r.key"), KeyForm::Pkcs8, 1),
        (files("r.crt", "pkcs1.key"), KeyForm::Pkcs1, 1),
        (files("d.crt", "d.key"), KeyForm::Pkcs8, 1),
        ("SSLCertificateFile all.pem".to_owned(), KeyForm::Sec1, 2),
        (files("e.crt", "e.key") + "\nSSLCertificateChainFile ca.pem", KeyForm::Pkcs8, 2),
    ] {
        let reading = folder.read(&lines).unwrap();
        let keyed = &reading.hosts[1].keyed[0];
        assert_eq!((keyed.form, keyed.chain.len()), (form, length), "{lines}");
        assert!(reading.hosts[0].keyed.is_empty());
    }
    let both = folder.read(&format!("{}\n{}", files("e.pem", "e.key"), files("r.crt", "r.key"))).unwrap();
    assert_eq!((both.hosts[1].keyed.len(), both.facts.len()), (2, 2));
}

#[test]
fn facts_are_names_and_dates() {
    let folder = Folder::new();
    let facts = &folder.read(&files("e.pem", "e.key")).unwrap().facts[0];
    assert_eq!(facts.names, ["a.example", "*.b.example"]);
    assert_eq!(facts.host, "a.example");
    assert!((19..=20).contains(&facts::days_left(facts, now())), "{facts:?}");
    assert!(facts.file.ends_with("/e.pem"));
}

#[test]
fn each_kind_of_bad_file_is_one_sentence() {
    let folder = Folder::new();
    folder.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out other.key");
    folder.run("pkey -in e.key -aes128 -passout pass:x -out locked.key");
    folder.run("genrsa -aes128 -passout pass:x -traditional -out locked1.key 2048");
    folder.run("x509 -in e.crt -outform DER -out e.der");
    folder.run("x509 -in e.crt -trustout -out trusted.pem");
    folder.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out odd.key");
    folder.run("ocsp -issuer ca.pem -cert e.crt -reqout request.der");
    folder.put("empty.pem", "");
    folder.put("blank.pem", "\n");
    folder.put("text.pem", "no certificate\n");
    folder.put("cut.pem", &folder.get("e.crt")[..300]);
    folder.put("reversed.pem", &(folder.get("ca.pem") + &folder.get("e.crt")));
    folder.put("ssh.key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    folder.put("short.key", "47 bytes");
    // An end that is no date: nothing that rustls reads, and something that the front does.
    folder.run("x509 -in ca.pem -outform DER -out odd.der");
    let mut der = std::fs::read(folder.path("odd.der")).unwrap();
    let is_date = |bytes: &[u8]| bytes.starts_with(&[0x17, 13]) && bytes.ends_with(b"Z");
    let dates = der.windows(30).position(|bytes| is_date(&bytes[..15]) && is_date(&bytes[15..])).unwrap();
    der[dates + 29] = b'X';
    std::fs::write(folder.path("odd.der"), der).unwrap();
    folder.run("base64 -in odd.der -out odd.txt");
    folder.put(
        "odd.pem",
        &format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", folder.get("odd.txt")),
    );
    folder.put("odd.crl", "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n");
    std::fs::create_dir(folder.path("folder")).unwrap();
    let fine = files("e.pem", "e.key");
    let clients = |lines: &str| format!("{fine}\nSSLVerifyClient require\n{lines}");
    for (lines, want) in [
        (files("none.pem", "e.key"), "the certificate none.pem is not there"),
        (files("e.pem", "none.key"), "the private key none.key is not there"),
        (files("folder", "e.key"), "the certificate folder cannot be read: it is no regular file"),
        (files("empty.pem", "e.key"), "the certificate empty.pem is empty"),
        (files("blank.pem", "e.key"), "the certificate blank.pem is empty"),
        (
            files("text.pem", "e.key"),
            "the certificate text.pem is not in PEM form: it has no line -----BEGIN CERTIFICATE-----",
        ),
        (files("cut.pem", "e.key"), "the certificate cut.pem is damaged"),
        (files("e.der", "e.key"), "the certificate e.der is in DER or PKCS #12 form"),
        (files("e.csr", "e.key"), "e.csr holds a request for a certificate"),
        (files("trusted.pem", "e.key"), "trusted.pem holds a certificate in OpenSSL's own form"),
        (
            files("e.key", "e.pem"),
            "e.key holds a private key and no certificate: are the two files exchanged?",
        ),
        (
            files("e.pem", "ca.pem"),
            "ca.pem holds a certificate and no private key: are the two files exchanged?",
        ),
        (files("e.pem", "other.key"), "the private key other.key does not belong to the certificate e.pem"),
        (files("reversed.pem", "e.key"), "the private key e.key belongs to certificate 2 of reversed.pem"),
        (files("e.pem", "locked.key"), "the private key locked.key is encrypted"),
        (files("e.pem", "locked1.key"), "the private key locked1.key is encrypted"),
        (files("e.pem", "odd.key"), "the private key odd.key is of a kind that cannot be used"),
        (files("e.pem", "ssh.key"), "the private key ssh.key is in the form OPENSSH"),
        (
            "SSLCertificateFile e.pem".to_owned(),
            "e.pem holds no private key, and SSLCertificateKeyFile names no other file",
        ),
        (
            format!("{}\nSSLCertificateChainFile text.pem", files("e.crt", "e.key")),
            "the certificate chain text.pem is not in PEM form",
        ),
        (clients("SSLCACertificateFile e.key"), "e.key holds a private key and no certificate"),
        (
            clients("SSLCACertificateFile odd.pem"),
            "odd.pem contains a certificate that cannot be an authority: ",
        ),
        (
            clients("SSLCACertificateFile ca.pem\nSSLCARevocationFile odd.crl\nSSLCARevocationCheck leaf"),
            "the revocation list odd.crl cannot be used: ",
        ),
        (clients("SSLCACertificatePath folder"), "folder has no file that is named by a hash (HASH.0)"),
        (
            clients("SSLCACertificateFile ca.pem\nSSLCARevocationFile e.pem\nSSLCARevocationCheck leaf"),
            "the revocation list e.pem is not in PEM form: it has no line -----BEGIN X509 CRL-----",
        ),
        (format!("{fine}\nGilkeeperStaplingFile e.der"), "e.der is no OCSP response in DER form"),
        (
            format!("{fine}\nSSLSessionTicketKeyFile short.key"),
            "the ticket key short.key has 8 bytes and needs 48",
        ),
    ] {
        let found = folder.read(&lines).expect_err(&lines);
        assert!(found.starts_with(want), "{lines}: {found}");
    }
}

#[test]
fn dates_are_remarks_from_two_weeks_on() {
    let folder = Folder::new();
    let lines = files("e.pem", "e.key");
    let last = folder.read(&lines).unwrap().facts[0].not_after;
    for (left, want) in [
        (30 * DAY, Some("is not valid before")),
        (19 * DAY, None),
        // A third of its life of 20 days.
        (7 * DAY, None),
        (5 * DAY + 10, Some("expires in 5 days, on ")),
        (DAY + 1, Some("expires in 1 day, on ")),
        (1, Some("expires within a day, on ")),
        (0, Some("has expired on ")),
        (-DAY, Some("has expired on ")),
    ] {
        let remarks = folder.read_at(&lines, last - left).unwrap().remarks;
        assert_eq!(
            remarks.iter().any(|said| want.is_some_and(|want| said.contains(want))),
            want.is_some(),
            "{left}: {remarks:?}"
        );
        assert!(want.is_some() || remarks.is_empty(), "{left}: {remarks:?}");
    }
    let facts = |left: i64| {
        let one = CertificateFacts {
            host: "a".into(),
            file: "f".into(),
            not_before: 0,
            not_after: left,
            ..CertificateFacts::default()
        };
        vec![one]
    };
    // A certificate that clients refuse takes no place of one that they accept.
    assert!(facts::worse(&facts(100), &facts(10), 50).is_some_and(|why| why.contains("has expired")));
    assert_eq!(facts::worse(&facts(10), &facts(20), 50), None);
    assert_eq!(facts::worse(&facts(100), &facts(70), 50), None);
}

#[test]
fn names_and_modes_are_remarks() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=other -days 30 -keyout o.key -out o.crt");
    std::fs::set_permissions(folder.path("o.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let remarks = folder.read(&files("o.crt", "o.key")).unwrap().remarks;
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].contains("everybody on this machine can read the private key"), "{remarks:?}");
    assert!(remarks[1].ends_with("o.crt is made out to other, and not to a.example"), "{remarks:?}");
}

#[test]
fn authorities_and_lists_come_from_files_and_folders() {
    let folder = Folder::new();
    folder.put("index.txt", "");
    folder.put("crlnumber", "01\n");
    folder.put(
        "ca.conf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=5\n",
    );
    folder.run("ca -config ca.conf -cert ca.pem -keyfile ca.key -gencrl -out list.pem");
    std::fs::create_dir(folder.path("hashed")).unwrap();
    std::fs::copy(folder.path("ca.pem"), folder.path("hashed/0a1b2c3d.0")).unwrap();
    std::fs::copy(folder.path("list.pem"), folder.path("hashed/0a1b2c3d.r0")).unwrap();
    folder.put("hashed/README", "no certificate");
    let fine = files("e.pem", "e.key");
    let lines = |place: &str, list: &str| {
        format!("{fine}\nSSLVerifyClient require\n{place}\n{list}\nSSLCARevocationCheck chain")
    };
    for lines in [
        lines("SSLCACertificateFile ca.pem", "SSLCARevocationFile list.pem"),
        lines("SSLCACertificatePath hashed", "SSLCARevocationPath hashed"),
    ] {
        let host = folder.read(&lines).unwrap().hosts.remove(1);
        assert_eq!((host.authorities.len(), host.revocation.len()), (1, 1), "{lines}");
    }
    // Without crlnumber, OpenSSL writes version 1.
    folder.put("old.conf", &folder.get("ca.conf").replace("crlnumber=crlnumber\n", ""));
    folder.run("ca -config old.conf -cert ca.pem -keyfile ca.key -gencrl -out old.pem");
    let old = folder.read(&lines("SSLCACertificateFile ca.pem", "SSLCARevocationFile old.pem")).unwrap_err();
    assert!(old.starts_with("the revocation list old.pem is of version 1"), "{old}");
    let late = folder
        .read_at(&lines("SSLCACertificateFile ca.pem", "SSLCARevocationFile list.pem"), now() + 6 * DAY);
    let remarks = late.unwrap().remarks;
    assert!(remarks.iter().any(|said| said.contains("list.pem is out of date since")), "{remarks:?}");
    // Nobody is asked for a certificate, so nothing of this is read.
    let quiet = folder.read(&format!("{fine}\nSSLCACertificateFile none.pem")).unwrap();
    assert!(quiet.hosts[1].authorities.is_empty());
}

#[test]
fn a_change_is_seen_by_its_stamp() {
    let folder = Folder::new();
    let site = folder.site(&files("live.pem", "e.key"));
    let before = Stamps::of(&site);
    std::os::unix::fs::symlink("e.pem", folder.path("live.pem")).unwrap();
    let linked = Stamps::of(&site);
    assert!(before != linked && linked == Stamps::of(&site));
    // As certbot does it: the link leads elsewhere.
    std::fs::remove_file(folder.path("live.pem")).unwrap();
    std::os::unix::fs::symlink("e.crt", folder.path("live.pem")).unwrap();
    assert_ne!(linked, Stamps::of(&site));
}

/// Looks at the files at that second of the supervisor's life, and takes in what was found.
fn look(kept: &mut Kept, configuration: &Arc<Configuration>, at: u64) -> Option<Change> {
    let (ours, theirs) = gk_sys::descriptors::stream_pair().unwrap();
    kept.look(configuration, || theirs.try_clone(), Duration::from_secs(at));
    rustix::io::read(&ours, &mut [0; 1]).unwrap();
    kept.take(now())
}

/// Reported: certificates that the front had refused were given to the next front, which then could not start. Met with an authority of
/// client certificates that the supervisor took and the front did not.
#[test]
fn certificates_that_the_front_refuses_are_for_no_later_front() {
    let folder = Folder::new();
    for name in ["one", "two", "three"] {
        folder.run(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=a.example -days 30 -keyout {name}.key -out {name}.crt"
        ));
        folder.put(
            &format!("{name}.pem"),
            &(folder.get(&format!("{name}.crt")) + &folder.get(&format!("{name}.key"))),
        );
    }
    let put = |name: &str| {
        std::fs::copy(folder.path(&format!("{name}.pem")), folder.path("new.pem")).unwrap();
        std::fs::rename(folder.path("new.pem"), folder.path("live.pem")).unwrap();
    };
    put("one");
    let site = folder.site("SSLCertificateFile live.pem");
    let reading = read(&site, now()).unwrap();
    let configuration = Arc::new(Configuration::of_site(1, site, reading));
    let mut kept = Kept::new(&configuration);
    let shown = |kept: &Kept| kept.message().hosts[1].keyed[0].chain[0].clone();
    let number = |kept: &Kept| kept.message().number;
    let first = shown(&kept);

    put("two");
    assert_eq!(look(&mut kept, &configuration, 10), Some(Change::Replaced));
    let second = shown(&kept);
    assert_ne!(first, second);
    let (good, said) = kept.answered(number(&kept), Some("it is malformed")).unwrap();
    assert!(!good && said.ends_with("those before stay: it is malformed"), "{said}");
    assert_eq!(shown(&kept), first);
    // What was refused is not tried again until a file changes.
    assert_eq!(look(&mut kept, &configuration, 20), None);

    // The front is behind: it gets two more before it answers, and refuses both, or the last one only.
    for (at, refused, stays) in [(30, true, &first), (50, false, &second)] {
        put("two");
        assert_eq!(look(&mut kept, &configuration, at), Some(Change::Replaced));
        let earlier = number(&kept);
        put("three");
        assert_eq!(look(&mut kept, &configuration, at + 10), Some(Change::Replaced));
        assert_eq!(kept.answered(earlier, refused.then_some("no")).unwrap().0, !refused);
        assert!(!kept.answered(number(&kept), Some("no")).unwrap().0);
        assert_eq!(&shown(&kept), stays);
    }
}

/// Reported: what a look had found while a reload was under way was left where nobody took it in, and no other look began until the next
/// reload. Met with certificates that were renewed within seconds of a deploy.
#[test]
fn a_change_that_is_found_during_a_reload_is_seen_after_it() {
    let folder = Folder::new();
    folder.put("live.pem", &(folder.get("e.pem") + &folder.get("e.key")));
    let site = folder.site("SSLCertificateFile live.pem");
    let reading = read(&site, now()).unwrap();
    let of = |number: u64| Arc::new(Configuration::of_site(number, site.clone(), reading.clone()));
    folder.put("live.pem", &(folder.get("e.crt") + &folder.get("e.key")));
    for is_adopted in [false, true] {
        let (one, two) = (of(1), of(2));
        let mut kept = Kept::new(&one);
        let (ours, theirs) = gk_sys::descriptors::stream_pair().unwrap();
        kept.look(&one, || theirs.try_clone(), Duration::from_secs(10));
        assert_eq!(kept.offer(&two, Duration::from_secs(10)).hosts, reading.hosts);
        rustix::io::read(&ours, &mut [0; 1]).unwrap();
        assert_eq!(
            (kept.take(now()), kept.due(), kept.turn_tickets(Duration::from_secs(90_000))),
            (None, None, false)
        );
        if is_adopted {
            kept.adopt(&two);
        } else {
            assert!(!kept.withdraw(1) && kept.withdraw(2));
        }
        assert_eq!((kept.take(now()), kept.due()), (None, Some(Duration::from_secs(12))));
        let present = if is_adopted { &two } else { &one };
        assert_eq!(look(&mut kept, present, 20), Some(Change::Replaced));
    }
}

#[test]
fn hosts_that_share_files_read_them_once() {
    let folder = Folder::new();
    let host = |name: &str| {
        let lines = files("e.pem", "e.key");
        format!("<VirtualHost *:443>\nServerName {name}\nSSLEngine on\n{lines}\n</VirtualHost>\n")
    };
    let around = Surroundings { directory: folder.0.path().to_owned(), ..Surroundings::default() };
    let text = host("a.example") + &host("x.b.example");
    let site = load_text("site.conf", &text, &Memory::new(), &around).site.unwrap();
    let reading = read(&site, now()).unwrap();
    assert_eq!((reading.hosts.len(), reading.facts.len()), (3, 1));
    assert_eq!(reading.remarks, Vec::<String>::new());
    assert_eq!(read(&Site { hosts: Vec::new(), ..site }, 0).unwrap(), Reading::default());
    assert!(
        refusal(&[
            files::BadFile::new(Path::new("/x"), "one".into()),
            files::BadFile::new(Path::new("/y"), "two".into())
        ])
        .0
        .ends_with("one (and 1 more such file)")
    );
}
