//! A block as pure data.
