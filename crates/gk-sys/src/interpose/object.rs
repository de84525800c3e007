//! Reading a loaded ELF object: its addresses, the entries of its tables with their imported functions, the entries that the
//! dynamic linker has made read-only, and the versions of its symbols. Linux with 64 bits, x86-64 and aarch64, glibc and musl; on
//! other systems every function returns an error.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(super) use elf::{Loaded, protect, resolve};

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(super) use absent::{Loaded, protect, resolve};

/// A table entry that the dynamic linker fills with a function's address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) address: usize,
    /// Index in the object's symbol table.
    pub(super) symbol: usize,
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod elf {
    use super::Slot;
    use std::ffi::{CStr, CString, c_char, c_int, c_void};
    use std::ops::Range;

    const DT_PLTRELSZ: u64 = 2;
    const DT_STRTAB: u64 = 5;
    const DT_SYMTAB: u64 = 6;
    const DT_RELA: u64 = 7;
    const DT_RELASZ: u64 = 8;
    const DT_JMPREL: u64 = 23;
    const DT_VERSYM: u64 = 0x6fff_fff0;
    const DT_VERNEED: u64 = 0x6fff_fffe;
    const DT_VERNEEDNUM: u64 = 0x6fff_ffff;

    /// A kind of machine, by the relocations that put a function's address into a word.
    #[derive(Debug, Clone, Copy)]
    struct Machine {
        jump_slot: u32,
        glob_dat: u32,
        word: u32,
    }

    const X86_64: Machine = Machine { jump_slot: 7, glob_dat: 6, word: 1 };
    const AARCH64: Machine = Machine { jump_slot: 1026, glob_dat: 1025, word: 257 };
    const HERE: Option<Machine> = if cfg!(target_arch = "x86_64") {
        Some(X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(AARCH64)
    } else {
        None
    };

    impl Machine {
        fn fills(self, kind: u32) -> bool {
            [self.jump_slot, self.glob_dat, self.word].contains(&kind)
        }
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Dynamic {
        tag: u64,
        value: u64,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Relocation {
        offset: u64,
        info: u64,
        addend: i64,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Needed {
        version: u16,
        count: u16,
        file: u32,
        first: u32,
        next: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct NeededVersion {
        hash: u32,
        flags: u16,
        other: u16,
        name: u32,
        next: u32,
    }

    /// The parts of an object that are read once; addresses are those of this process.
    #[derive(Debug, Default)]
    pub(in super::super) struct Loaded {
        pub(in super::super) path: String,
        base: usize,
        read_only: Range<usize>,
        strings: usize,
        symbols: usize,
        tables: [Range<usize>; 2],
        versions: usize,
        needed: usize,
        needed_count: usize,
    }

    struct Search {
        address: usize,
        base: usize,
        path: String,
        dynamic: usize,
        read_only: Range<usize>,
        found: bool,
    }

    /// Called by `dl_iterate_phdr` for each object.
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: the pointer that `containing` gave, to a local that outlives the iteration.
        let search = unsafe { &mut *data.cast::<Search>() };
        // SAFETY: valid for the length of this call.
        let info = unsafe { &*info };
        // SAFETY: pointer and count describe the object's program headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let base = info.dlpi_addr as usize;
        let place = |h: &libc::Elf64_Phdr| base.wrapping_add(h.p_vaddr as usize);
        let holds = |h: &libc::Elf64_Phdr| {
            (place(h)..place(h).saturating_add(h.p_memsz as usize)).contains(&search.address)
        };
        if !headers.iter().any(|h| h.p_type == libc::PT_LOAD && holds(h)) {
            return 0;
        }
        search.found = true;
        search.base = base;
        if !info.dlpi_name.is_null() {
            // SAFETY: a C string of the dynamic linker.
            search.path = unsafe { CStr::from_ptr(info.dlpi_name) }.to_string_lossy().into_owned();
        }
        for header in headers {
            match header.p_type {
                libc::PT_DYNAMIC => search.dynamic = place(header),
                libc::PT_GNU_RELRO => {
                    // The dynamic linker protects whole pages inside the range, nothing of the last one.
                    let page = rustix::param::page_size();
                    let end = place(header) + header.p_memsz as usize;
                    search.read_only = (place(header) / page * page)..(end / page * page);
                }
                _ => {}
            }
        }
        1
    }

    /// Reads plain data of a loaded object's tables.
    fn read<T: Copy>(address: usize) -> T {
        // SAFETY: `Loaded` only asks for addresses inside tables that the object's own dynamic section describes; these are
        // mapped and readable for the object's life, and all types read here are plain numbers.
        unsafe { (address as *const T).read_unaligned() }
    }

    fn text_at<'a>(address: usize) -> &'a CStr {
        // SAFETY: an entry of a loaded object's string table, which ends with NUL and lives as long as the object; objects
        // asked about here (CPython's, the executable) are never unloaded.
        unsafe { CStr::from_ptr(address as *const c_char) }
    }

    impl Loaded {
        pub(in super::super) fn containing(address: usize) -> Result<Self, String> {
            let mut search =
                Search { address, base: 0, path: String::new(), dynamic: 0, read_only: 0..0, found: false };
            // SAFETY: `visit` matches the expected type; the data pointer is to a live local.
            unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
            if !search.found {
                return Err("no loaded object holds that address".to_owned());
            }
            if search.dynamic == 0 {
                return Err("the object is linked statically: it imports nothing".to_owned());
            }
            Ok(Self::read(search))
        }

        fn read(search: Search) -> Self {
            let mut loaded =
                Self { path: search.path, base: search.base, read_only: search.read_only, ..Self::default() };
            let (mut lazy, mut lazy_len, mut eager, mut eager_len) = (0, 0, 0, 0);
            for index in 0.. {
                let entry: Dynamic = read(search.dynamic + index * size_of::<Dynamic>());
                // glibc has added the base already where its section is writable; else, and with musl, it is an offset.
                let value = entry.value as usize;
                let address = if value < loaded.base { loaded.base + value } else { value };
                match entry.tag {
                    0 => break,
                    DT_STRTAB => loaded.strings = address,
                    DT_SYMTAB => loaded.symbols = address,
                    DT_JMPREL => lazy = address,
                    DT_PLTRELSZ => lazy_len = value,
                    DT_RELA => eager = address,
                    DT_RELASZ => eager_len = value,
                    DT_VERSYM => loaded.versions = address,
                    DT_VERNEED => loaded.needed = address,
                    DT_VERNEEDNUM => loaded.needed_count = value,
                    _ => {}
                }
            }
            loaded.tables = [lazy..lazy + lazy_len, eager..eager + eager_len];
            loaded
        }

        /// The table entries that are filled with this undefined symbol.
        pub(in super::super) fn slots_of(&self, name: &CStr) -> Vec<Slot> {
            HERE.map_or_else(Vec::new, |machine| self.slots_on(machine, name))
        }

        fn slots_on(&self, machine: Machine, name: &CStr) -> Vec<Slot> {
            let mut found = Vec::new();
            if self.symbols == 0 || self.strings == 0 {
                return found;
            }
            for table in &self.tables {
                for address in table.clone().step_by(size_of::<Relocation>()) {
                    let relocation: Relocation = read(address);
                    let (symbol, kind) = ((relocation.info >> 32) as usize, relocation.info as u32);
                    if symbol == 0 || relocation.addend != 0 || !machine.fills(kind) {
                        continue;
                    }
                    let entry: libc::Elf64_Sym = read(self.symbols + symbol * size_of::<libc::Elf64_Sym>());
                    if entry.st_shndx == 0 && text_at(self.strings + entry.st_name as usize) == name {
                        let address = self.base.wrapping_add(relocation.offset as usize);
                        found.push(Slot { address, symbol });
                    }
                }
            }
            found
        }

        /// The version that the object wants of a symbol.
        pub(in super::super) fn version_of(&self, symbol: usize) -> Option<CString> {
            if self.versions == 0 || self.needed == 0 {
                return None;
            }
            let wanted = read::<u16>(self.versions + symbol * 2) & 0x7fff;
            let mut file = self.needed;
            for _ in 0..self.needed_count {
                let needed: Needed = read(file);
                let mut at = file + needed.first as usize;
                for _ in 0..needed.count {
                    let version: NeededVersion = read(at);
                    if version.other & 0x7fff == wanted {
                        return Some(text_at(self.strings + version.name as usize).to_owned());
                    }
                    at += version.next as usize;
                }
                file += needed.next as usize;
            }
            None
        }

        /// Whether the dynamic linker has write-protected this address after start-up.
        pub(in super::super) fn protected(&self, address: usize) -> bool {
            self.read_only.contains(&address)
        }
    }

    /// The function of that name and version as the dynamic linker finds it for everyone (a preloaded one first).
    pub(in super::super) fn resolve(name: &CStr, version: Option<&CStr>) -> *const c_void {
        if let Some(found) = version.and_then(|version| versioned(name, version)) {
            return found;
        }
        // SAFETY: a live C string.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
    }

    #[cfg(target_env = "gnu")]
    fn versioned(name: &CStr, version: &CStr) -> Option<*const c_void> {
        // SAFETY: two live C strings.
        let found = unsafe { libc::dlvsym(libc::RTLD_DEFAULT, name.as_ptr(), version.as_ptr()) };
        (!found.is_null()).then_some(found.cast_const())
    }

    /// musl has one version of each function.
    #[cfg(not(target_env = "gnu"))]
    fn versioned(_: &CStr, _: &CStr) -> Option<*const c_void> {
        None
    }

    /// Makes the page of a table entry writable, or read-only again.
    pub(in super::super) fn protect(address: usize, writable: bool) -> Result<(), String> {
        let page = rustix::param::page_size();
        let flags = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: one page of an object's relocation tables, readable before and after; nothing is unmapped.
        let status = unsafe { libc::mprotect((address / page * page) as *mut c_void, page, flags) };
        if status == 0 {
            Ok(())
        } else {
            Err(format!("a protected page cannot be opened: {}", std::io::Error::last_os_error()))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const BASE: usize = 0x10000;
        const STRINGS: &[u8] = b"\0pthread_cond_wait\0pthread_cond_timedwait\0";
        const WAIT: usize = 1;
        const TIMED: usize = 2;
        const OWN: usize = 3;

        /// Offset, kind, symbol and addend of each entry, as a compiler for that machine leaves them.
        fn table(entries: &[(u64, u32, usize, i64)]) -> Vec<Relocation> {
            let entry = |&(offset, kind, symbol, addend): &(u64, u32, usize, i64)| Relocation {
                offset,
                info: (symbol as u64) << 32 | u64::from(kind),
                addend,
            };
            entries.iter().map(entry).collect()
        }

        fn symbol(name: u32, section: u16) -> libc::Elf64_Sym {
            libc::Elf64_Sym {
                st_name: name,
                st_info: 0x12,
                st_other: 0,
                st_shndx: section,
                st_value: 0,
                st_size: 0,
            }
        }

        #[test]
        fn both_machines_relocations_are_found_and_others_left_alone() {
            let symbols = [symbol(0, 0), symbol(1, 0), symbol(19, 0), symbol(1, 7)];
            // RELATIVE, IRELATIVE and the three of thread-local storage: other numbers on each machine.
            for (machine, others, told) in [
                (X86_64, [8, 37, 16, 17, 36], "x86-64"),
                (AARCH64, [1027, 1032, 1028, 1029, 1031], "aarch64"),
            ] {
                let lazy = table(&[
                    (0x100, machine.jump_slot, TIMED, 0),
                    (0x108, machine.jump_slot, WAIT, 0),
                    (0x110, machine.jump_slot, OWN, 0),
                ]);
                let mut eager = vec![
                    (0x200, machine.glob_dat, WAIT, 0),
                    (0x208, machine.word, WAIT, 0),
                    (0x210, machine.word, WAIT, 8),
                    (0x218, machine.word, 0, 0),
                ];
                eager.extend(others.map(|kind| (0x300, kind, WAIT, 0)));
                let eager = table(&eager);
                let place = |t: &[Relocation]| {
                    let begin = t.as_ptr() as usize;
                    begin..begin + size_of_val(t)
                };
                let loaded = Loaded {
                    base: BASE,
                    strings: STRINGS.as_ptr() as usize,
                    symbols: symbols.as_ptr() as usize,
                    tables: [place(&lazy), place(&eager)],
                    ..Loaded::default()
                };
                let found = |name| -> Vec<(usize, usize)> {
                    let slots = loaded.slots_on(machine, name);
                    slots.iter().map(|slot| (slot.address - BASE, slot.symbol)).collect()
                };
                assert_eq!(found(c"pthread_cond_timedwait"), [(0x100, TIMED)], "{told}");
                assert_eq!(
                    found(c"pthread_cond_wait"),
                    [(0x108, WAIT), (0x200, WAIT), (0x208, WAIT)],
                    "{told}"
                );
                assert_eq!(found(c"pthread_cond_signal"), [], "{told}");
            }
        }

        #[test]
        fn the_numbers_are_those_of_the_abi() {
            let numbers = |m: Machine| [m.word, m.glob_dat, m.jump_slot];
            assert_eq!(numbers(X86_64), [1, 6, 7], "R_X86_64_64, GLOB_DAT, JUMP_SLOT");
            assert_eq!(numbers(AARCH64), [0x101, 0x401, 0x402], "R_AARCH64_ABS64, GLOB_DAT, JUMP_SLOT");
        }
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod absent {
    use super::Slot;
    use std::ffi::{CStr, CString, c_void};

    #[derive(Debug)]
    pub(in super::super) struct Loaded {
        pub(in super::super) path: String,
    }

    impl Loaded {
        pub(in super::super) fn containing(_: usize) -> Result<Self, String> {
            Err("redirecting functions is built for Linux with 64 bits".to_owned())
        }

        pub(in super::super) fn slots_of(&self, _: &CStr) -> Vec<Slot> {
            Vec::new()
        }

        pub(in super::super) fn version_of(&self, _: usize) -> Option<CString> {
            None
        }

        pub(in super::super) fn protected(&self, _: usize) -> bool {
            false
        }
    }

    pub(in super::super) fn resolve(_: &CStr, _: Option<&CStr>) -> *const c_void {
        std::ptr::null()
    }

    pub(in super::super) fn protect(_: usize, _: bool) -> Result<(), String> {
        Ok(())
    }
}
