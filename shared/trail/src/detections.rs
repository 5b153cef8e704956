//! The detections, a file for each subject.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::controls;
use crate::detection::Detection;

mod authentication;
pub mod digests;
mod domains;
mod exposure;
mod iam;
mod identity_center;
pub mod log_files;
mod log_storage;
mod network;
mod organizations;
mod own_parts;
pub mod pipeline;
mod public_access;
pub mod reviews;
mod root;
mod s3_public;
mod security_services;
mod sts;
mod trail;

/// The version of the set: findings say which one raised them.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All detections.
pub fn all() -> Vec<&'static Detection> {
    [
        log_files::ALL,
        digests::ALL,
        pipeline::ALL,
        reviews::ALL,
        root::ALL,
        trail::ALL,
        log_storage::ALL,
        own_parts::ALL,
        security_services::ALL,
        s3_public::ALL,
        public_access::ALL,
        network::ALL,
        domains::ALL,
        iam::ALL,
        identity_center::ALL,
        organizations::ALL,
        sts::ALL,
        authentication::ALL,
    ]
    .concat()
}

/// The detection of that id; also of what findings about trail settings stem from, which no record causes.
pub fn find(id: &str) -> Option<&'static Detection> {
    static BY_ID: LazyLock<HashMap<&'static str, &'static Detection>> =
        LazyLock::new(|| all().into_iter().chain(controls::detections()).map(|found| (found.id, found)).collect());
    BY_ID.get(id).copied()
}
