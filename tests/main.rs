//! The whole system over real servers on loopback: the functions' own binaries, started as Lambda starts them.

mod scenarios;
mod support;
