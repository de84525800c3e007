//! The directive language: text in, one immutable Site out, with diagnostics that point at the place.
