//! Schedule and queue: sorted days of the lake.

fn main() {}
