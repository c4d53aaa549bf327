//! `spiderpool-controller`: keeps what people see of pools current.

fn main() {}
