//! A worker process: request threads, interpreters, the link to the front, timers.
