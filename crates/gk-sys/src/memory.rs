//! Memory that several processes map: the [`SharedPage`] of a link with its two rings, the [`channel`] that moves bytes
//! through them, and [`SharedWords`] for a worker's scoreboard. [`give_back`] is about the process's own heap.

pub mod channel;
mod heap;
mod page;
mod words;

pub use heap::give_back;
pub use page::SharedPage;
pub use words::SharedWords;
