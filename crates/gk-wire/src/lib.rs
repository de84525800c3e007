//! The words the processes say to each other: frames, control messages, the worker page. Values and bytes only.
