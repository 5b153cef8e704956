//! The access review on the AWS side.

pub mod collect;
pub mod store;
