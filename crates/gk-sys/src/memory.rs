//! Memory that several processes map: the [`SharedPage`] of a link with its two rings, the [`channel`] that moves bytes
//! through them, and [`SharedWords`] for a worker's scoreboard.

pub mod channel;
mod page;
mod words;

pub use page::SharedPage;
pub use words::SharedWords;
