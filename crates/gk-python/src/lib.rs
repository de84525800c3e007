//! The fence around CPython's C interface: interpreters, thread states, attached objects.
