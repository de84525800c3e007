//! mod_wsgi's telemetry datagrams, version 1, as values: [`Datagram::encode`] and [`Datagram::decode`]. One datagram is one
//! record: a header of 24 bytes, then fields, each with a number, a type and a value, everything little-endian.
//!
//! * [`fields`]: the table of fields.
//! * [`phases`]: what mod_wsgi measures of a request.
//! * [`emit`]: what a worker did in an interval, as datagrams.
//! * [`receive`]: what a process of mod_wsgi says, as readings of a worker.

pub mod emit;
pub mod fields;
pub mod phases;
pub mod receive;

use fields::Form;

/// The first bytes.
const MAGIC: [u8; 4] = *b"WSGI";
/// The version spoken.
const VERSION: u8 = 1;
/// Bytes of the header.
const HEADER: usize = 24;

/// Subject of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The figures of a process in an interval.
    RequestMetrics = 2,
    /// A request above the threshold, running or finished.
    SlowRequest = 4,
    /// A process began to serve.
    ProcessStarted = 5,
    /// It takes no more requests.
    ProcessStopping = 6,
    /// It ended.
    ProcessStopped = 7,
    /// Counters of an interpreter's garbage collector.
    GcSnapshot = 8,
    /// One garbage collection.
    GcEvent = 9,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::RequestMetrics,
        Self::SlowRequest,
        Self::ProcessStarted,
        Self::ProcessStopping,
        Self::ProcessStopped,
        Self::GcSnapshot,
        Self::GcEvent,
    ];
}

/// A field's value. Durations and moments are seconds, sizes bytes, moments since the epoch.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    U64(u64),
    F64(f64),
    I64(i64),
    Bytes(Vec<u8>),
    I32s(Vec<i32>),
    F64s(Vec<f64>),
}

impl Value {
    fn number(&self) -> u8 {
        match self {
            Self::U64(_) => 1,
            Self::F64(_) => 2,
            Self::I64(_) => 3,
            Self::Bytes(_) => 4,
            Self::I32s(_) => 5,
            Self::F64s(_) => 6,
        }
    }

    fn fits(&self, form: Form) -> bool {
        match self {
            Self::U64(_) | Self::I64(_) | Self::F64(_) => form == Form::Number,
            Self::Bytes(_) => form == Form::Text,
            Self::I32s(_) | Self::F64s(_) => form == Form::Row,
        }
    }

    fn is_finite(&self) -> bool {
        match self {
            Self::F64(number) => number.is_finite(),
            Self::F64s(numbers) => numbers.iter().all(|number| number.is_finite()),
            _ => true,
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Datagram {
    /// Its subject.
    pub kind: Kind,
    /// The process it is about.
    pub pid: u32,
    /// Counts the datagrams of a process, of all kinds, from 1.
    pub seq: u32,
    /// Epoch seconds.
    pub stamp: f64,
    /// Field numbers and values.
    pub fields: Vec<(u16, Value)>,
}

/// Why bytes are no datagram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header.
    #[error("it has {0} bytes, fewer than a header")]
    Short(usize),
    /// Not mod_wsgi's.
    #[error("it does not begin with WSGI")]
    Magic,
    /// Another version of the format.
    #[error("it is of version {0}; version 1 is understood")]
    Version(u8),
    /// A kind that is not sent by mod_wsgi 6.
    #[error("its kind {0} is not known")]
    Kind(u8),
    /// It ends in the middle of a field.
    #[error("it ends in the middle of field {0}")]
    Cut(u16),
    /// A type that does not exist.
    #[error("field {id} has the unknown type {type_code}")]
    Type {
        /// The field.
        id: u16,
        /// Its type.
        type_code: u8,
    },
    /// A known field with a value of another form.
    #[error("field {0} ({name}) holds another form of value than it should", name = fields::name(*.0).unwrap_or("?"))]
    Form(u16),
    /// A number that is none.
    #[error("a number in it is not finite")]
    NotFinite,
}

impl Datagram {
    /// Without fields. Sending gives it its number.
    pub fn new(kind: Kind, pid: u32, stamp: f64) -> Self {
        Self { kind, pid, seq: 0, stamp, fields: Vec::new() }
    }

    /// Adds a value. Empty texts are left out, and numbers that are not finite, which mod_wsgi-telemetry's pages cannot read.
    pub fn put(&mut self, id: u16, value: Value) {
        let empty = matches!(&value, Value::Bytes(bytes) if bytes.is_empty());
        if value.is_finite() && !empty {
            self.fields.push((id, value));
        }
    }

    /// Adds a count.
    pub fn count(&mut self, id: u16, count: u64) {
        self.put(id, Value::U64(count));
    }

    /// Adds a number.
    pub fn number(&mut self, id: u16, number: f64) {
        self.put(id, Value::F64(number));
    }

    /// Adds a text, cut to `longest` bytes with "..." at the end.
    pub fn text(&mut self, id: u16, text: &str, longest: usize) {
        let text = text.replace('\0', "");
        let cut = if text.len() > longest {
            let end =
                (0..=longest.saturating_sub(3)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            format!("{}...", &text[..end])
        } else {
            text
        };
        self.put(id, Value::Bytes(cut.into_bytes()));
    }

    /// A field's value; the last one when the field is there twice.
    pub fn get(&self, id: u16) -> Option<&Value> {
        self.fields.iter().rev().find(|(field, _)| *field == id).map(|(_, value)| value)
    }

    /// A number of any type.
    pub fn get_number(&self, id: u16) -> Option<f64> {
        match self.get(id)? {
            Value::U64(number) => Some(*number as f64),
            Value::I64(number) => Some(*number as f64),
            Value::F64(number) => Some(*number),
            _ => None,
        }
    }

    /// A count; negative ones are 0.
    pub fn get_count(&self, id: u16) -> Option<u64> {
        match self.get(id)? {
            Value::U64(number) => Some(*number),
            _ => self.get_number(id).map(|number| number as u64),
        }
    }

    /// A text, repaired where it is not UTF-8.
    pub fn get_text(&self, id: u16) -> Option<String> {
        match self.get(id)? {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// A row of numbers of any type.
    pub fn get_row(&self, id: u16) -> Option<Vec<f64>> {
        match self.get(id)? {
            Value::I32s(row) => Some(row.iter().map(|number| f64::from(*number)).collect()),
            Value::F64s(row) => Some(row.clone()),
            _ => None,
        }
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, self.kind as u8, 0, 0]);
        out.extend_from_slice(&self.pid.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.stamp.to_le_bytes());
        for (id, value) in &self.fields {
            out.extend_from_slice(&id.to_le_bytes());
            out.push(value.number());
            let row = |out: &mut Vec<u8>, len: usize| {
                let len = len.min(usize::from(u16::MAX));
                out.extend_from_slice(&(len as u16).to_le_bytes());
                len
            };
            match value {
                Value::U64(number) => out.extend_from_slice(&number.to_le_bytes()),
                Value::I64(number) => out.extend_from_slice(&number.to_le_bytes()),
                Value::F64(number) => out.extend_from_slice(&number.to_le_bytes()),
                Value::Bytes(bytes) => {
                    let len = row(&mut out, bytes.len());
                    out.extend_from_slice(&bytes[..len]);
                }
                Value::I32s(numbers) => {
                    let len = row(&mut out, numbers.len());
                    numbers[..len].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
                }
                Value::F64s(numbers) => {
                    let len = row(&mut out, numbers.len());
                    numbers[..len].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
                }
            }
        }
        out
    }

    /// From bytes. Unknown fields are kept; known fields must have their form, so that no later code has to check it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or(DecodeError::Short(bytes.len()))?;
        if header[..4] != MAGIC {
            return Err(DecodeError::Magic);
        }
        if header[4] != VERSION {
            return Err(DecodeError::Version(header[4]));
        }
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == header[5]);
        let mut rest = Bytes { bytes: &bytes[8..], field: 0 };
        let mut datagram = Self {
            kind: kind.ok_or(DecodeError::Kind(header[5]))?,
            pid: u32::from_le_bytes(rest.take()?),
            seq: u32::from_le_bytes(rest.take()?),
            stamp: f64::from_le_bytes(rest.take()?),
            fields: Vec::new(),
        };
        while !rest.bytes.is_empty() {
            let id = u16::from_le_bytes(rest.take()?);
            rest.field = id;
            let [type_code] = rest.take()?;
            let value = rest.value(id, type_code)?;
            if fields::form(id).is_some_and(|form| !value.fits(form)) {
                return Err(DecodeError::Form(id));
            }
            if !value.is_finite() {
                return Err(DecodeError::NotFinite);
            }
            datagram.fields.push((id, value));
        }
        if datagram.stamp.is_finite() { Ok(datagram) } else { Err(DecodeError::NotFinite) }
    }
}

/// Bytes left to decode.
struct Bytes<'b> {
    bytes: &'b [u8],
    field: u16,
}

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(DecodeError::Cut(self.field))?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn value(&mut self, id: u16, type_code: u8) -> Result<Value, DecodeError> {
        if !(4..=6).contains(&type_code) {
            return match type_code {
                1 => Ok(Value::U64(u64::from_le_bytes(self.take()?))),
                2 => Ok(Value::F64(f64::from_le_bytes(self.take()?))),
                3 => Ok(Value::I64(i64::from_le_bytes(self.take()?))),
                _ => Err(DecodeError::Type { id, type_code }),
            };
        }
        let len = usize::from(u16::from_le_bytes(self.take()?));
        let size = [1, 4, 8][usize::from(type_code) - 4];
        let (taken, rest) = self.bytes.split_at_checked(len * size).ok_or(DecodeError::Cut(id))?;
        self.bytes = rest;
        Ok(match type_code {
            4 => Value::Bytes(taken.to_vec()),
            5 => Value::I32s(taken.as_chunks().0.iter().map(|four| i32::from_le_bytes(*four)).collect()),
            _ => Value::F64s(taken.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect()),
        })
    }
}

#[cfg(test)]
#[path = "datagram/tests.rs"]
mod tests;
