//! Writes the custom resource definitions of the chart from the Rust types.
fn main() {}
