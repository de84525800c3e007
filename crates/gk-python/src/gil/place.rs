//! Where a thread stands in its Python code, noted without calling Python: the code object's address, the instruction, and enough
//! of the code object to recognise it later. What the note says in words is in `names`.
//!
//! Notes are taken by a thread that has been given the GIL and has not taken it yet, of the thread that had it before: that one is at
//! the bytecode at which it was made to let go, or in the call that did. It needs the GIL to leave its frame, so the frame stays.

use super::holder;
use super::memory::Access;
use super::offsets::{CODE, FRAME, Offsets};
use pyo3_ffi as ffi;

/// Frames without code that are passed over: those between Python code and C code that calls it.
const PASSED: usize = 4;
/// No instruction is known.
const NONE: u32 = u32::MAX;

/// A note. Its addresses are not to be followed: the code object may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Address of the code object; 0: the thread runs no Python code.
    pub(super) code: usize,
    /// Bytes from the beginning of the bytecode.
    pub(super) instruction: u32,
    /// What the code object said at that time: its first line, its qualified name and its file, as addresses.
    pub(super) first_line: u32,
    pub(super) name: usize,
    pub(super) file: usize,
}

impl Place {
    /// Words that hold a note.
    pub const WORDS: usize = 4;

    /// The note in words.
    pub fn words(self) -> [u64; Self::WORDS] {
        let numbers = u64::from(self.instruction) | u64::from(self.first_line) << 32;
        [self.code as u64, numbers, self.name as u64, self.file as u64]
    }

    /// The note from words.
    pub fn of_words([code, numbers, name, file]: [u64; Self::WORDS]) -> Self {
        let (instruction, first_line) = (numbers as u32, (numbers >> 32) as u32);
        Self { code: code as usize, instruction, first_line, name: name as usize, file: file as usize }
    }

    /// Whether the thread ran Python code.
    pub fn is_python(&self) -> bool {
        self.code != 0
    }
}

/// Where the thread of this thread state stands; `None` where it cannot be read.
///
/// # Safety
/// The caller has the GIL to itself that the state belongs to: it is free, and the caller holds its mutex, or the caller is attached.
pub(super) unsafe fn of_state(state: usize, at: &Offsets) -> Option<Place> {
    let access = holder::access(state);
    // SAFETY: by the contract. Where the access is `Live` the state is in the table of this server's, so it is not deleted, and its
    // frames and their code objects are held by a thread that cannot go on without the GIL.
    unsafe { read(state, access, at) }
}

/// # Safety
/// For [`Access::Live`]: the thread state lives, and its thread cannot run Python code.
pub(super) unsafe fn read(state: usize, access: Access, at: &Offsets) -> Option<Place> {
    // SAFETY: by the contract.
    let mut frame = unsafe { first_frame(state, access, at) }?;
    for _ in 0..PASSED {
        if frame == 0 {
            return Some(Place::default());
        }
        // SAFETY: a frame of that thread, which it cannot leave; each has at least one place behind its head, so it is that long.
        let content: [u8; FRAME] = unsafe { access.bytes(frame) }?;
        // The lowest bits of the reference say how it is counted.
        let code = word(&content, at.code) & !7;
        if code != 0 {
            // SAFETY: the frame keeps this object: code, or something else in its place, which has a type, too.
            let kind = unsafe { access.word(code.wrapping_add(at.kind)) }?;
            if kind == code_type() {
                // SAFETY: a code object, kept by the frame.
                return unsafe { of_code(&content, code, access, at) };
            }
        }
        frame = word(&content, at.previous);
    }
    Some(Place::default())
}

/// The frame that the thread of this state runs; 0: none.
///
/// # Safety
/// As for [`read`].
unsafe fn first_frame(state: usize, access: Access, at: &Offsets) -> Option<usize> {
    // SAFETY: a word of a living thread state, by the contract.
    let frame = unsafe { access.word(state.checked_add(at.frame)?) }?;
    match at.cframe {
        // SAFETY: what the state points to: it stands in the state, or on the stack of a C function that cannot return meanwhile.
        Some(cframe) => unsafe { access.word(frame.checked_add(cframe)?) },
        None => Some(frame),
    }
}

/// Frames without code between two with code, at most: more make no stack.
const BETWEEN: usize = 16;

/// Gives the places of all frames of the thread of this state, the innermost first, to `each`, until that returns false. For the thread
/// itself, at any instruction of it: a frame that is just begun or left may be half written or freed. So all of it is read through the
/// kernel, and what does not look like a frame ends the walk. Returns whether the walk came to the end of the stack.
pub(super) fn walk(state: usize, at: &Offsets, mut each: impl FnMut(Place) -> bool) -> bool {
    const ACCESS: Access = Access::Checked;
    // SAFETY: nothing is asked of memory that is read through the kernel.
    let Some(mut frame) = (unsafe { first_frame(state, ACCESS, at) }) else { return false };
    let mut passed = 0;
    while frame != 0 && passed < BETWEEN {
        // SAFETY: as above.
        let Some(content) = (unsafe { ACCESS.bytes::<FRAME>(frame) }) else { return false };
        frame = word(&content, at.previous);
        let code = word(&content, at.code) & !7;
        // SAFETY: as above.
        let kind = unsafe { ACCESS.word(code.wrapping_add(at.kind)) };
        if code == 0 || kind != Some(code_type()) {
            passed += 1;
            continue;
        }
        passed = 0;
        // SAFETY: as above.
        let Some(place) = (unsafe { of_code(&content, code, ACCESS, at) }) else { return false };
        if !each(place) {
            return false;
        }
    }
    frame == 0
}

/// # Safety
/// As for [`read`]; `code` is the address of the frame's code object.
unsafe fn of_code(frame: &[u8; FRAME], code: usize, access: Access, at: &Offsets) -> Option<Place> {
    // SAFETY: by the contract; code objects are longer than that.
    let content: [u8; CODE] = unsafe { access.bytes(code) }?;
    let bytecode = if at.copies == 0 {
        code.wrapping_add(at.bytecode)
    } else {
        let index = word(frame, at.copy_index) as u32 as usize;
        // SAFETY: a word of the code object.
        let copies = unsafe { access.word(code.wrapping_add(at.copies)) }?;
        // SAFETY: the list of copies: their number, then their addresses. It lives as long as the code object.
        unsafe { access.word(copies.checked_add(8 + 8 * index)?) }?
    };
    let instruction = word(frame, at.instruction).wrapping_sub(bytecode);
    let (first_line, name, file) = facts(&content, at);
    // A frame that has not begun stands before its first instruction.
    let instruction = if (instruction as isize) < 0 && (instruction as isize) > -8 { 0 } else { instruction };
    Some(Place { code, instruction: u32::try_from(instruction).unwrap_or(NONE), first_line, name, file })
}

/// First line, address of the qualified name, address of the file's name, of a code object.
pub(super) fn facts(code: &[u8; CODE], at: &Offsets) -> (u32, usize, usize) {
    (word(code, at.first_line) as u32, word(code, at.name), word(code, at.file))
}

/// The word at this place of what was read; 0 beyond its end.
pub(super) fn word(content: &[u8], at: usize) -> usize {
    content.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| usize::from_ne_bytes(*bytes))
}

/// The address of the type of code objects.
pub(super) fn code_type() -> usize {
    &raw const ffi::PyCode_Type as usize
}
