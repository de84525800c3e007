//! The file of pprof: protocol buffers, compressed with gzip. The messages are those of its `profile.proto`, as far as they are used.

use super::stacks;
use crate::kept::profiles::Profiled;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use std::collections::HashMap;
use std::io::Write as _;

/// Nanoseconds between two samples.
const PERIOD: i64 = 20_000_000;

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// The table of texts; the first one is empty.
struct Texts {
    index: HashMap<String, i64>,
    all: Vec<String>,
}

impl Texts {
    fn of(&mut self, text: &str) -> i64 {
        *self.index.entry(text.to_owned()).or_insert_with(|| {
            self.all.push(text.to_owned());
            self.all.len() as i64 - 1
        })
    }
}

pub(super) fn file(profiled: &Profiled) -> Vec<u8> {
    let bytes = message(profiled).encode_to_vec();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    // Into memory, so it cannot fail; unpacked files are read, too.
    match packed.write_all(&bytes).and_then(|()| packed.finish()) {
        Ok(packed) => packed,
        Err(_) => bytes,
    }
}

fn message(profiled: &Profiled) -> File {
    let profile = &profiled.profile;
    let mut texts = Texts { index: HashMap::from([(String::new(), 0)]), all: vec![String::new()] };
    let cpu = ValueType { kind: texts.of("cpu"), unit: texts.of("nanoseconds") };
    let samples = ValueType { kind: texts.of("samples"), unit: texts.of("count") };
    let function = profile.functions.iter().zip(1..).map(|(function, id)| {
        let name = texts.of(&function.name);
        Function { id, name, system_name: name, filename: texts.of(&function.file) }
    });
    let function: Vec<Function> = function.collect();
    // One location for each call: no two need the same one.
    let location = profile.calls.iter().zip(1..).map(|(call, id)| {
        let line = Line { function_id: call.function as u64 + 1, line: call.line.into() };
        Location { id, line: vec![line] }
    });
    let sample = stacks(profile).map(|(call, stack)| Sample {
        // The innermost first.
        location_id: stack.iter().rev().map(|call| *call as u64 + 1).collect(),
        value: vec![call.samples as i64, call.ns as i64],
    });
    File {
        sample_type: vec![samples, cpu],
        sample: sample.collect(),
        location: location.collect(),
        function,
        time_nanos: ((profiled.ended - profiled.seconds) * 1e9) as i64,
        duration_nanos: (profiled.seconds * 1e9) as i64,
        period_type: Some(cpu),
        period: PERIOD,
        string_table: texts.all,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;
    use std::io::Read as _;

    #[test]
    fn the_file_comes_back() {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&super::file(&example())[..]).read_to_end(&mut bytes).unwrap();
        let file = File::decode(&bytes[..]).unwrap();
        assert_eq!(file, message(&example()));
        assert_eq!(file.string_table[0], "");
        let text = |index: i64| file.string_table[index as usize].as_str();
        assert_eq!(
            (text(file.sample_type[0].kind), text(file.sample_type[1].unit)),
            ("samples", "nanoseconds")
        );
        let sample = &file.sample[1];
        assert_eq!((&sample.location_id[..], &sample.value[..]), (&[3, 2, 1][..], &[3, 60_000_000][..]));
        let innermost = &file.location[sample.location_id[0] as usize - 1].line[0];
        let function = &file.function[innermost.function_id as usize - 1];
        assert_eq!(
            (text(function.name), text(function.filename), innermost.line),
            ("<lambda>", "/srv/app.py", 7)
        );
    }
}
