//! The fence around CPython's C interface. Everything above it is `#![forbid(unsafe_code)]`.
//!
//! * [`interpreter`]: the main interpreter and sub-interpreters, with the shared GIL or their own.
//! * [`thread_state`]: one OS thread's states, one per interpreter; attaching and detaching.
//! * [`outer_frame`]: the Python frame that a thread runs in between its tasks; [`debugger`]: scripts given from outside.
//! * [`attached`]: the proof of attachment that every call of Python takes.
//! * [`object`]: objects that cannot leave their attachment; [`kept`]: references that can; [`kept::lent`]: contents that other threads read.
//! * [`error`]: a raised exception as a value.
//! * [`class`]: Python types whose instances carry a Rust value.
//! * [`gil`]: the time that threads wait for a GIL, and the threads that hold it meanwhile.
//! * [`balance`]: how many references are held, for tests.
//! * [`entry`]: the doors from Python into this library, where panics stop.
//!
//! Words: a thread is **attached** to an interpreter when it may call Python there (it holds that interpreter's GIL where
//! there is one). Never `PyGILState_*`: it knows one interpreter only. This crate knows no WSGI, sockets or configuration.
//!
//! CPython behaviour that this code relies on:
//!
//! * `PyEval_RestoreThread` blocks until the GIL is free; after finalisation began it ends or hangs the calling thread.
//!   So no request thread may still run when the main thread finalises: `gk-worker` makes sure or leaves by `_exit`.
//! * A thread state belongs to the OS thread that made it; it is deleted by that thread while attached.
//! * Sub-interpreters get their first thread state from the creating thread, and 3.12 wants it kept.

pub mod attached;
pub mod balance;
pub mod class;
pub mod debugger;
pub mod entry;
pub mod error;
pub mod gil;
pub mod interpreter;
pub mod kept;
pub mod object;
mod operations;
pub mod outer_frame;
pub mod thread_state;
mod values;
pub mod version;

pub use attached::Attached;
pub use class::{Class, KeptType, Method, Type};
pub use error::PyError;
pub use interpreter::{Gil, Interpreter, InterpreterHandle, StillUsed};
pub use kept::Kept;
pub use kept::lent::{Lent, Loans};
pub use object::Object;
pub use operations::Iter;
pub use thread_state::ThreadStates;
