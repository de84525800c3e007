//! Distinguished names of certificates in the forms of mod_ssl: one line as in RFC 2253, one line in the old form of OpenSSL, and
//! single attributes.

use std::fmt::Write as _;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Attributes: object identifier, OpenSSL's short name, and mod_ssl's tag in `SSL_CLIENT_S_DN_…` where it has one.
const ATTRIBUTES: &[(&str, &str, &str)] = &[
    ("2.5.4.3", "CN", "CN"),
    ("2.5.4.4", "SN", "S"),
    ("2.5.4.5", "serialNumber", ""),
    ("2.5.4.6", "C", "C"),
    ("2.5.4.7", "L", "L"),
    ("2.5.4.8", "ST", "ST"),
    ("2.5.4.9", "street", ""),
    ("2.5.4.10", "O", "O"),
    ("2.5.4.11", "OU", "OU"),
    ("2.5.4.12", "title", "T"),
    ("2.5.4.13", "description", "D"),
    ("2.5.4.15", "businessCategory", ""),
    ("2.5.4.17", "postalCode", ""),
    ("2.5.4.20", "telephoneNumber", ""),
    ("2.5.4.41", "name", ""),
    ("2.5.4.42", "GN", "G"),
    ("2.5.4.43", "initials", "I"),
    ("2.5.4.44", "generationQualifier", ""),
    ("2.5.4.45", "x500UniqueIdentifier", ""),
    ("2.5.4.46", "dnQualifier", ""),
    ("2.5.4.65", "pseudonym", ""),
    ("2.5.4.97", "organizationIdentifier", ""),
    ("1.2.840.113549.1.9.1", "emailAddress", "Email"),
    ("1.2.840.113549.1.9.2", "unstructuredName", ""),
    ("0.9.2342.19200300.100.1.1", "UID", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC", ""),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL", ""),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST", ""),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC", ""),
];

/// An attribute as the table has it.
fn known(attribute: &AttributeTypeAndValue<'_>) -> Option<(&'static str, &'static str)> {
    let id = attribute.attr_type().to_id_string();
    ATTRIBUTES.iter().find(|(known, ..)| *known == id).map(|(_, short, tag)| (*short, *tag))
}

/// The text of an attribute, as it stands in a variable of its own.
fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let mut text = String::new();
    escape(&value(attribute), &|_, _, _| false, &mut text);
    text
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    plain(value.tag(), value.data)
}

/// The text of a string of ASN.1.
pub fn plain(tag: Tag, bytes: &[u8]) -> String {
    match tag {
        Tag::BmpString => {
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        Tag::UniversalString => {
            let number = |four: &[u8]| u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
            bytes.chunks_exact(4).map(|four| char::from_u32(number(four)).unwrap_or('\u{fffd}')).collect()
        }
        // Each byte is a character of Latin-1, as OpenSSL takes it.
        Tag::T61String => bytes.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A name in the form of RFC 2253: the last attribute first.
pub fn line(name: &X509Name<'_>) -> String {
    let sets: Vec<_> = name.iter().collect();
    let mut line = String::new();
    for (number, set) in sets.iter().rev().enumerate() {
        if number > 0 {
            line.push(',');
        }
        let attributes: Vec<_> = set.iter().collect();
        for (number, attribute) in attributes.iter().rev().enumerate() {
            if number > 0 {
                line.push('+');
            }
            match known(attribute) {
                Some((short, _)) => {
                    line.push_str(short);
                    line.push('=');
                    escape(&value(attribute), &is_special, &mut line);
                }
                None => {
                    // Nobody knows what it means: its bytes.
                    let _ = write!(line, "{}=#", attribute.attr_type().to_id_string());
                    let value = attribute.attr_value();
                    let _ = write!(line, "{:02X}", value.tag().0);
                    let length = value.data.len();
                    match length {
                        0..=127 => drop(write!(line, "{length:02X}")),
                        128..=255 => drop(write!(line, "81{length:02X}")),
                        _ => drop(write!(line, "82{length:04X}")),
                    }
                    for byte in value.data {
                        let _ = write!(line, "{byte:02X}");
                    }
                }
            }
        }
    }
    line
}

/// Whether RFC 2253 escapes a character at this place, of this last one.
fn is_special(c: char, place: usize, last: usize) -> bool {
    match c {
        ',' | '+' | '"' | '<' | '>' | ';' => true,
        ' ' => place == 0 || place == last,
        '#' => place == 0,
        _ => false,
    }
}

/// Writes control characters as `\0A`, and a backslash before others that are special.
fn escape(value: &str, special: &dyn Fn(char, usize, usize) -> bool, line: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (place, c) in value.chars().enumerate() {
        if c.is_ascii_control() {
            let _ = write!(line, "\\{:02X}", c as u32);
            continue;
        }
        if c == '\\' || special(c, place, last) {
            line.push('\\');
        }
        line.push(c);
    }
}

/// A name in the old form: `/C=AT/O=…`.
pub fn old_line(name: &X509Name<'_>) -> String {
    let mut line = String::new();
    for attribute in name.iter_attributes() {
        let short = known(attribute).map(|(short, _)| short.to_owned());
        let _ = write!(line, "/{}=", short.unwrap_or_else(|| attribute.attr_type().to_id_string()));
        for byte in attribute.attr_value().data {
            match byte {
                b' '..=b'~' => line.push(char::from(*byte)),
                byte => drop(write!(line, "\\x{byte:02X}")),
            }
        }
    }
    line
}

/// The attributes that mod_ssl has a tag for, as `CN`, `OU`, `OU_1` …, in their order.
pub fn attributes(name: &X509Name<'_>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for attribute in name.iter_attributes() {
        let Some((_, tag)) = known(attribute).filter(|(_, tag)| !tag.is_empty()) else { continue };
        let count = match counts.iter_mut().find(|(known, _)| *known == tag) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                counts.push((tag, 0));
                0
            }
        };
        let key = if count == 0 { tag.to_owned() } else { format!("{tag}_{count}") };
        found.push((key, text(attribute)));
    }
    found
}
