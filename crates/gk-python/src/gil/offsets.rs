//! Places of what is read of a Python frame without calling Python: in a thread state, a frame, a code object, a text. From 3.13 on
//! CPython publishes them for readers from outside (`_Py_DebugOffsets`, at the start of `_PyRuntime`); for 3.11 and 3.12 they are
//! its headers'. None of it is believed: `blame` compares a known frame with what is read of it.

use super::memory::copy;
use std::sync::OnceLock;

/// Bytes from the start of each structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Offsets {
    /// Thread state: its frame; where `cframe` is set, the structure that has the frame.
    pub(super) frame: usize,
    /// In that structure, before 3.13: the frame.
    pub(super) cframe: Option<usize>,
    /// Frame: the one that called it.
    pub(super) previous: usize,
    /// Frame: its code object.
    pub(super) code: usize,
    /// Frame: its instruction.
    pub(super) instruction: usize,
    /// Frame, on free-threaded builds: index of the copy of the bytecode it runs.
    pub(super) copy_index: usize,
    /// Code object, on free-threaded builds: the copies; 0: none.
    pub(super) copies: usize,
    /// Code object: file, qualified name, table of lines, first line, bytecode.
    pub(super) file: usize,
    pub(super) name: usize,
    pub(super) lines: usize,
    pub(super) first_line: usize,
    pub(super) bytecode: usize,
    /// Text: number of letters, form, and where the letters of the shortest form begin.
    pub(super) text_length: usize,
    pub(super) text_form: usize,
    pub(super) text_letters: usize,
    /// Bytes: length and content.
    pub(super) bytes_length: usize,
    pub(super) bytes_content: usize,
    /// Any object: its type.
    pub(super) kind: usize,
}

/// Bytes of a frame that are read.
pub(super) const FRAME: usize = 80;
/// Bytes of a code object that are read.
pub(super) const CODE: usize = 160;

/// What this library was built for.
const FREE_THREADED: bool = cfg!(Py_GIL_DISABLED);
const MINOR: u8 = match (cfg!(Py_3_12), cfg!(Py_3_13), cfg!(Py_3_14), cfg!(Py_3_15)) {
    (false, ..) => 11,
    (_, false, ..) => 12,
    (_, _, false, _) => 13,
    (.., false) => 14,
    _ => 15,
};

static KNOWN: OnceLock<Result<Offsets, String>> = OnceLock::new();

/// Those of this CPython; the sentence says why they are not known.
pub(super) fn known() -> Result<&'static Offsets, String> {
    KNOWN.get_or_init(find).as_ref().map_err(Clone::clone)
}

/// The same, once they were asked for with success.
pub(super) fn found() -> Option<&'static Offsets> {
    KNOWN.get()?.as_ref().ok()
}

fn find() -> Result<Offsets, String> {
    let offsets = match MINOR {
        11 if !FREE_THREADED => Offsets {
            frame: 56,
            cframe: Some(8),
            code: 32,
            previous: 48,
            instruction: 56,
            first_line: 72,
            bytecode: 184,
            text_letters: 48,
            ..BEFORE_13
        },
        12 if !FREE_THREADED => Offsets {
            frame: 56,
            cframe: Some(0),
            code: 0,
            previous: 8,
            instruction: 56,
            first_line: 68,
            bytecode: 192,
            text_letters: 40,
            ..BEFORE_13
        },
        minor @ 13.. => published(minor)?,
        _ => return Err("this CPython is none whose frames are known".to_owned()),
    };
    let frame = [offsets.previous, offsets.code, offsets.instruction, offsets.copy_index];
    let code = [offsets.file, offsets.name, offsets.lines, offsets.first_line];
    let fits = frame.iter().all(|at| *at + 8 <= FRAME) && code.iter().all(|at| *at + 8 <= CODE);
    fits.then_some(offsets).ok_or_else(|| "this CPython's frames are larger than those known".to_owned())
}

/// What 3.11 and 3.12 have in common.
const BEFORE_13: Offsets = Offsets {
    frame: 0,
    cframe: None,
    previous: 0,
    code: 0,
    instruction: 0,
    copy_index: 0,
    copies: 0,
    file: 112,
    name: 128,
    lines: 136,
    first_line: 0,
    bytecode: 0,
    text_length: 16,
    text_form: 32,
    text_letters: 0,
    bytes_length: 16,
    bytes_content: 32,
    kind: 8,
};

/// Bytes of `_Py_DebugOffsets` that are read.
const PUBLISHED: usize = 880;

fn published(minor: u8) -> Result<Offsets, String> {
    table().and_then(|table| read(&table, minor))
}

fn table() -> Result<[u8; PUBLISHED], String> {
    // SAFETY: a lookup by name among the loaded objects.
    let runtime = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_PyRuntime".as_ptr()) } as usize;
    let mut table = [0; PUBLISHED];
    // What `_PyRuntime` holds behind the table is longer than that.
    if runtime == 0 || !copy(runtime, &mut table) {
        return Err("this CPython does not publish where its frames are".to_owned());
    }
    Ok(table)
}

/// From the start of a thread state of the running CPython to the word that says that a script from outside waits.
pub(crate) fn debugger() -> Option<usize> {
    let table = table().ok()?;
    let at = words(&table, MINOR)?;
    let support = match MINOR {
        14 => 720,
        15 => 848,
        _ => return None,
    };
    Some(at(support) + at(support + 16)).filter(|offset| *offset < LIMIT && offset.is_multiple_of(4))
}

/// Offsets within a structure are smaller.
const LIMIT: usize = 1 << 16;

/// The words of the table, by their byte; `None` where it is of another CPython, or in a form that is not known.
fn words(table: &[u8; PUBLISHED], minor: u8) -> Option<impl Fn(usize) -> usize> {
    let (words, _) = table.as_chunks::<8>();
    let at = |byte: usize| words.get(byte / 8).map_or(usize::MAX, |word| u64::from_ne_bytes(*word) as usize);
    let known = words[0] == *b"xdebugpy"
        && at(8) >> 16 == 0x300 | usize::from(minor)
        && at(16) == usize::from(FREE_THREADED);
    known.then_some(at)
}

/// Reads the table. Its fields are words behind a mark of eight letters.
fn read(table: &[u8; PUBLISHED], minor: u8) -> Result<Offsets, String> {
    let at = words(table, minor)
        .ok_or_else(|| "what this CPython publishes of its frames is not in the form known".to_owned())?;
    let offsets = if minor == 13 {
        Offsets {
            frame: at(184),
            previous: at(232),
            code: at(240),
            instruction: at(248),
            file: at(280),
            name: at(296),
            lines: at(304),
            first_line: at(312),
            bytecode: at(344),
            kind: at(360),
            bytes_length: at(520),
            bytes_content: at(528),
            text_form: at(544),
            text_length: at(552),
            text_letters: at(560),
            ..Offsets::default()
        }
    } else if minor == 14 {
        Offsets {
            frame: at(208),
            previous: at(256),
            code: at(264),
            instruction: at(272),
            copy_index: at(304),
            file: at(320),
            name: at(336),
            lines: at(344),
            first_line: at(352),
            bytecode: at(384),
            copies: at(392),
            kind: at(408),
            bytes_length: at(600),
            bytes_content: at(608),
            text_form: at(624),
            text_length: at(632),
            text_letters: at(640),
            ..Offsets::default()
        }
    } else {
        Offsets {
            frame: at(208),
            previous: at(320),
            code: at(328),
            instruction: at(336),
            copy_index: at(368),
            file: at(384),
            name: at(400),
            lines: at(408),
            first_line: at(416),
            bytecode: at(448),
            copies: at(456),
            kind: at(472),
            bytes_length: at(696),
            bytes_content: at(704),
            text_form: at(720),
            text_length: at(728),
            text_letters: at(736),
            ..Offsets::default()
        }
    };
    let all = [offsets.frame, offsets.bytecode, offsets.copies, offsets.text_letters, offsets.bytes_content];
    let good = all.iter().all(|at| *at < LIMIT);
    good.then_some(offsets)
        .ok_or_else(|| "what this CPython publishes of its frames makes no sense".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_table_is_refused() {
        let mut table = [0; PUBLISHED];
        assert!(read(&table, 14).is_err());
        table[..8].copy_from_slice(b"xdebugpy");
        table[8..16].copy_from_slice(&(0x030d_00f0_u64).to_ne_bytes());
        assert!(read(&table, 14).is_err(), "of another version");
        table[8..16].copy_from_slice(&(0x030e_07f0_u64).to_ne_bytes());
        table[16] = u8::from(FREE_THREADED);
        assert!(read(&table, 14).is_ok());
        table[208..216].copy_from_slice(&u64::MAX.to_ne_bytes());
        assert!(read(&table, 14).unwrap_err().contains("no sense"));
        // The form of a frame's place in 3.15 is another one.
        table[8..16].copy_from_slice(&(0x030f_00c2_u64).to_ne_bytes());
        table[208..216].copy_from_slice(&72_u64.to_ne_bytes());
        table[320..328].copy_from_slice(&8_u64.to_ne_bytes());
        let found = read(&table, 15).unwrap();
        assert_eq!((found.frame, found.previous), (72, 8));
    }
}
