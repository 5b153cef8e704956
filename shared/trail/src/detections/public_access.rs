//! To come.

use crate::detection::Detection;

pub(super) const ALL: &[&Detection] = &[];
