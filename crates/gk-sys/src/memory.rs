//! Memory that several processes map: the [`SharedPage`] of a link with its two rings, the [`channel`] that moves bytes
//! through them, and [`SharedWords`] for a worker's scoreboard. [`loans`] is about pieces that need none of them,
//! [`give_back`] about the process's own heap.

pub mod channel;
mod heap;
pub mod loans;
mod page;
mod words;

pub use heap::give_back;
pub use page::SharedPage;
pub use words::SharedWords;
