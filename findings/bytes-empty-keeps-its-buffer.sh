#!/usr/bin/env bash
# bytes 1.12.1: an empty Bytes keeps the whole buffer that it was frozen from.
#
# Most Rust servers hand bytes around as Bytes, and hyper's Parts::read_buf is one: the bytes that were read and not used, empty for
# nearly every connection that goes idle. BytesMut::freeze() of an emptied buffer keeps its allocation for as long as the Bytes or a
# clone of it lives; is_empty() says nothing of memory. slice(0..0) of the same Bytes and Bytes::new() hold none. Here a front that
# kept the empty read_buf of sleeping connections held 8 KiB for each.
#
# Seen:  frozen after all was taken: 8232 bytes held    its clone alone: 8232    slice(0..0): 0    Bytes::new(): 0
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

mkdir -p probe/src
cat >probe/Cargo.toml <<'END'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
bytes = "=1.12.1"

[workspace]
END
cat >probe/src/main.rs <<'END'
use bytes::{Bytes, BytesMut};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;
static HELD: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        System.dealloc(block, layout)
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn held(make: impl FnOnce() -> Bytes) -> usize {
    let before = HELD.load(Relaxed);
    let bytes = make();
    assert!(bytes.is_empty());
    let held = HELD.load(Relaxed) - before;
    drop(bytes);
    held
}

fn main() {
    let read = || {
        let mut buffer = BytesMut::with_capacity(8192);
        buffer.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        let _request = buffer.split_to(18);
        buffer
    };
    let frozen = held(|| read().freeze());
    let clone = held(|| read().freeze().clone());
    let slice = held(|| read().freeze().slice(0..0));
    let new = held(Bytes::new);
    println!("frozen {frozen}, clone {clone}, slice(0..0) {slice}, new {new}");
    assert!(frozen >= 8192 && clone >= 8192 && slice == 0 && new == 0);
}
END
cargo run --quiet --manifest-path probe/Cargo.toml
