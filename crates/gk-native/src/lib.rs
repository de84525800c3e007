//! The Python extension module: three entry points and the one exported symbol.
