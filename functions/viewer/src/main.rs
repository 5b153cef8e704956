//! The page and its API.

fn main() {}
