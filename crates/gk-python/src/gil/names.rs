//! What a [`Place`] is called: function, file and line. The code object may be gone, and something else may stand in its place. So
//! nothing of it is touched: it is copied, compared with what was noted, and compared again after its texts were copied. Whoever asks
//! is attached, so that no other thread of the interpreter ends a code object meanwhile.

use super::memory::{copy, read_word};
use super::offsets::{self, CODE, Offsets};
use super::place::{Place, code_type, facts, word};
use crate::attached::Attached;
use pyo3_ffi as ffi;

/// Longest text in letters, and longest table of lines in bytes, that is read.
const LONGEST_TEXT: usize = 4096;
const LONGEST_TABLE: usize = 1 << 20;

/// A place in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Qualified name of the function.
    pub function: String,
    /// File, as the code object says it.
    pub file: String,
    /// Line; that of the function's beginning where the instruction has none.
    pub line: u32,
}

impl Place {
    /// Its name; `None` when the code object is gone.
    pub fn name(&self, _py: Attached<'_>) -> Option<Named> {
        let at = offsets::found()?;
        let table = self.recognised(at)?;
        let function = text(self.name, at)?;
        let file = text(self.file, at)?;
        let lines = content(word(&table, at.lines), at)?;
        self.recognised(at)?;
        let line = line_of(&lines, self.first_line, self.instruction).unwrap_or(self.first_line);
        Some(Named { function, file, line })
    }

    /// The code object, if it is the one that was noted.
    fn recognised(&self, at: &Offsets) -> Option<[u8; CODE]> {
        let mut code = [0; CODE];
        let there = copy(self.code, &mut code) && word(&code, at.kind) == code_type();
        (there && facts(&code, at) == (self.first_line, self.name, self.file)).then_some(code)
    }
}

/// The content of a `bytes`.
fn content(address: usize, at: &Offsets) -> Option<Vec<u8>> {
    let is_bytes = read_word(address.checked_add(at.kind)?)? == &raw const ffi::PyBytes_Type as usize;
    let length =
        read_word(address.checked_add(at.bytes_length)?).filter(|n| is_bytes && *n <= LONGEST_TABLE)?;
    let mut bytes = vec![0; length];
    copy(address.wrapping_add(at.bytes_content), &mut bytes).then_some(bytes)
}

/// Where the form of a text has the width of its letters, and that it is all ASCII.
const FORM: (u32, u32) = if cfg!(all(Py_GIL_DISABLED, Py_3_14)) { (8, 12) } else { (2, 6) };

/// Bytes between the head of a text that is not all ASCII and its letters: its length in UTF-8, the address of that, and before 3.12
/// its length in wide characters.
const BETWEEN: usize = if cfg!(Py_3_12) { 16 } else { 24 };

/// A text that stands in one piece, as all names of code objects do.
fn text(address: usize, at: &Offsets) -> Option<String> {
    let is_text = read_word(address.checked_add(at.kind)?)? == &raw const ffi::PyUnicode_Type as usize;
    let length = read_word(address.checked_add(at.text_length)?).filter(|n| is_text && *n <= LONGEST_TEXT)?;
    let form = read_word(address.wrapping_add(at.text_form))?;
    let (width, ascii) = ((form >> FORM.0) & 7, (form >> FORM.1) & 1 == 1);
    let begin = address.wrapping_add(at.text_letters + if ascii { 0 } else { BETWEEN });
    let mut letters = vec![0; length * width.min(4)];
    if !copy(begin, &mut letters) {
        return None;
    }
    let code = |chunk: &[u8]| chunk.iter().rev().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
    let letters = letters.chunks(width.max(1)).map(code);
    matches!(width, 1 | 2 | 4).then(|| letters.map(|one| char::from_u32(one).unwrap_or('\u{fffd}')).collect())
}

/// The line of an instruction in a table of locations, as PEP 657 has it: entries that begin with a byte whose highest bit is set,
/// with a kind and the number of code units that they are for.
fn line_of(table: &[u8], first_line: u32, instruction: u32) -> Option<u32> {
    let mut line = i64::from(first_line);
    let (mut unit, mut at) = (0u32, 0);
    let wanted = instruction / 2;
    while let Some(head) = table.get(at) {
        let (kind, units) = (head >> 3 & 15, u32::from(head & 7) + 1);
        let rest = &table[at + 1..];
        let known = match kind {
            0..=9 => true,
            10..=12 => {
                line += i64::from(kind) - 10;
                true
            }
            13 | 14 => {
                line += signed(rest);
                true
            }
            _ => false,
        };
        unit += units;
        if wanted < unit {
            return u32::try_from(line).ok().filter(|_| known);
        }
        at += 1 + rest.iter().position(|byte| byte & 0x80 != 0)?;
    }
    None
}

/// A signed number: six bits per byte, the lowest first, and the sign in the lowest bit of all.
fn signed(bytes: &[u8]) -> i64 {
    let mut number = 0i64;
    for (index, byte) in bytes.iter().take(6).enumerate() {
        number |= i64::from(byte & 63) << (6 * index);
        if byte & 64 == 0 {
            break;
        }
    }
    if number & 1 == 1 { -(number >> 1) } else { number >> 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_of_the_table() {
        // Two units on the first line, one without a line, one three lines below, two a line above that, in the long form.
        let table = [0x80 | 1, 0, 0x80 | 15 << 3, 0x80 | 13 << 3, 6, 0x80 | 14 << 3 | 1, 3, 0, 1, 1];
        let lines: Vec<_> = (0..14).step_by(2).map(|at| line_of(&table, 10, at)).collect();
        assert_eq!(lines, [Some(10), Some(10), None, Some(13), Some(12), Some(12), None]);
        // A delta of more than six bits, and one of 10 to 12.
        assert_eq!(line_of(&[0x80 | 13 << 3, 64 | 2, 3], 1, 0), Some(1 + 97));
        assert_eq!(line_of(&[0x80 | 12 << 3, 0, 0], 1, 0), Some(3));
    }

    #[test]
    fn rubbish_is_no_line() {
        for table in [&[][..], &[0], &[0xff; 9], &[0x80 | 13 << 3], &[0x80 | 14 << 3, 0xff, 0xff, 0xff]] {
            for instruction in [0, 2, 100, u32::MAX] {
                let _ = line_of(table, u32::MAX, instruction);
            }
        }
    }
}
