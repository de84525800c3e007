//! The supervisor: one loop that starts, watches, replaces and stops the front and the workers.
