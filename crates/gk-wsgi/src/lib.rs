//! The PEP 3333 conversation with one application.
