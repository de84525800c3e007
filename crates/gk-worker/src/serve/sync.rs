//! Locks, atomics and parking of the protocols in this room: the standard library's, or loom's in a build for the models:
//! `CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" scripts/with-python 3.14 cargo test -p gk-worker --lib model`.

#[cfg(all(test, loom))]
pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(all(test, loom))]
pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(all(test, loom))]
pub(super) use loom::thread::{Thread, current, park};
#[cfg(not(all(test, loom)))]
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(all(test, loom)))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, loom)))]
pub(super) use std::thread::{Thread, current, park};
