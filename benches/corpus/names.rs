//! What the names in a record's text stand for.

use std::fmt::Write as _;

use super::people::Principal;
use super::{Clock, Random, mix};

pub(super) const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const FUNCTIONS: &[&str] = &[
    "orders-api",
    "orders-worker",
    "ledger-api",
    "ledger-close",
    "billing-cron",
    "invoice-mailer",
    "auth-api",
    "session-sweeper",
    "image-thumbs",
    "search-indexer",
    "stock-sync",
    "returns-api",
    "webhook-relay",
    "report-builder",
    "price-feed",
    "fraud-score",
    "cart-api",
    "profile-api",
    "geo-lookup",
    "audit-export",
];
const ROLES: &[&str] = &[
    "orders-task",
    "ledger-task",
    "billing-cron",
    "auth-task",
    "search-indexer",
    "node-live",
    "glue-nightly",
    "github-ci",
    "stock-sync",
    "report-builder",
    "fraud-score",
    "backup-nightly",
];
const BUCKETS: &[&str] =
    &["lake-curated", "lake-raw", "build-artifacts", "invoices", "thumbs", "exports", "terraform-state", "frontend"];
const TABLES: &[&str] = &["orders", "carts", "sessions", "ledger", "profiles", "stock"];
const PEOPLE: &[&str] = &["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
const FOLDERS: &[&str] = &["raw", "curated", "exports", "tmp", "images"];

/// Where a record is, whose it is, and what it draws its names from.
pub(super) struct Names<'n> {
    pub(super) account: &'static str,
    pub(super) region: &'static str,
    /// What tells this record's things from those of others.
    pub(super) salt: u64,
    /// What tells the sessions of one principal apart.
    pub(super) session: u64,
    pub(super) time: i64,
    pub(super) principal: &'n Principal,
    pub(super) random: &'n mut Random,
}

impl Names<'_> {
    /// Appends `template`, its names replaced. What is no name stays as it is.
    pub(super) fn fill(&mut self, template: &str, text: &mut String) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            let end = after.bytes().position(|b| !b.is_ascii_lowercase()).unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            self.resolve(name, text);
            rest = behind;
        }
        text.push_str(rest);
    }

    fn resolve(&mut self, name: &str, text: &mut String) {
        match name {
            "account" => text.push_str(self.account),
            "region" => text.push_str(self.region),
            "zone" => text.extend([self.region, "a"]),
            "function" => text.push_str(self.one_of(FUNCTIONS)),
            "role" => text.push_str(self.one_of(ROLES)),
            "table" => text.push_str(self.one_of(TABLES)),
            "person" => text.push_str(self.one_of(PEOPLE)),
            "bucket" => text.extend([self.one_of(BUCKETS), "-", self.account]),
            "uuid" => self.uuid(text),
            "key" => uuid(self.thing(name, 24), text),
            "instance" => self.resource("i-0", name, text),
            "group" => self.resource("sg-0", name, text),
            "subnet" => self.resource("subnet-0", name, text),
            "vpc" => self.resource("vpc-0", name, text),
            "image" => self.resource("ami-0", name, text),
            "volume" => self.resource("vol-0", name, text),
            "interface" => self.resource("eni-0", name, text),
            "object" => self.object(text),
            _ => self.resolve_more(name, text),
        }
    }

    fn resolve_more(&mut self, name: &str, text: &mut String) {
        let own = self.thing(name, u64::MAX);
        let _ = match name {
            "hex" => write!(text, "{:016x}", self.random.next()),
            "short" => write!(text, "{:08x}", own >> 32),
            "number" => write!(text, "{}", 1_000_000 + self.random.below(9_000_000)),
            "private" => write!(text, "10.20.{}.{}", self.salt % 64, self.salt / 64 % 250 + 1),
            "dashed" => write!(text, "10-20-{}-{}", self.salt % 64, self.salt / 64 % 250 + 1),
            "expiry" => write!(text, "Nov 20, 2026, {}:{:02}:31 PM", self.salt % 11 + 1, self.salt / 11 % 60),
            "temporary" => write!(text, "ASIA{:016X}", self.random.next()),
            "since" => write!(
                text,
                "{}",
                Clock::of(self.time.div_euclid(1800) * 1800 - i64::try_from(self.session % 3000).unwrap_or(0))
            ),
            "signer" => write!(text, "ASIA{:016X}", mix(self.session)),
            "who" => write!(text, "{}", self.principal.name),
            "id" => write!(text, "{}", self.principal.id),
            "longterm" => write!(text, "{}", self.principal.access_key),
            "session" => write!(text, "{}", self.principal.session(self.session)),
            "address" => write!(text, "{}", self.principal.address),
            "arn" => {
                let arn = self.principal.style.arn();
                self.fill(arn, text);
                Ok(())
            }
            other => write!(text, "${other}"),
        };
    }

    /// The number of this record's thing of a kind, of which the account has so many.
    fn thing(&self, kind: &str, of: u64) -> u64 {
        let kind = kind.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let account = self.account.parse().unwrap_or(0_u64);
        mix((mix(self.salt ^ kind) % of) ^ kind.wrapping_mul(account))
    }

    fn one_of(&self, list: &[&'static str]) -> &'static str {
        list[usize::try_from(self.salt % list.len() as u64).unwrap_or(0)]
    }

    fn resource(&self, prefix: &str, kind: &str, text: &mut String) {
        let _ = write!(text, "{prefix}{:016x}", self.thing(kind, 300));
    }

    fn object(&self, text: &mut String) {
        let (folder, day, part) = (self.one_of(FOLDERS), self.salt / 8 % 28 + 1, self.salt % 100_000);
        let _ = write!(text, "{folder}/dt=2026-11-{day:02}/part-{part:05}-");
        uuid(self.salt, text);
        text.push_str(".snappy.parquet");
    }

    fn uuid(&mut self, text: &mut String) {
        uuid(self.random.next(), text);
    }
}

/// A random UUID of version 4.
fn uuid(seed: u64, text: &mut String) {
    let (high, low) = (mix(seed), mix(seed ^ 0x5bd1_e995));
    let _ = write!(
        text,
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | low >> 48 & 0x3fff,
        low & 0xffff_ffff_ffff
    );
}
