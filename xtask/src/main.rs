//! Chores with an `if` in them.
fn main() {}
