//! The viewer: a router and its pages over the lake and the state.

pub mod door;
pub mod forward;
