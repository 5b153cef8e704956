//! A made-up CloudTrail corpus: log files as AWS delivers them, the same ones from the same seed.
//!
//! Five accounts, four regions, some two hundred principals, a hundred kinds of record, bursts of one call, and a
//! fifth of all records delivered a second time in another file. Two records in a thousand are somebody's attack.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use kinds::{By, Form, INCIDENTS, Kind, ORDINARY};
use names::Names;
use people::{Principal, Style};

#[path = "corpus/kinds.rs"]
pub(crate) mod kinds;
#[path = "corpus/names.rs"]
mod names;
#[path = "corpus/people.rs"]
mod people;

/// What corpus to make.
#[derive(Debug, Clone)]
pub(crate) struct Corpus {
    /// How many records, copies included.
    pub(crate) records: usize,
    /// What everything is derived from.
    pub(crate) seed: u64,
    /// How many records a file, on average.
    pub(crate) per_file: usize,
    /// How many records in a hundred are copies of one in an earlier file.
    pub(crate) duplicates: u64,
    /// How many records in a thousand somebody has to look at.
    pub(crate) incidents: u64,
    /// The accounts, the busiest first.
    pub(crate) accounts: &'static [&'static str],
    /// The regions, the busiest first.
    pub(crate) regions: &'static [&'static str],
    /// The organization, where it is an organization trail.
    pub(crate) organization: Option<&'static str>,
    /// When the first file is delivered, in seconds since 1970.
    pub(crate) start: i64,
    /// How many seconds lie between two deliveries.
    pub(crate) pace: i64,
    /// Ordinary calls that weigh otherwise here: name, weight in the table, weight here.
    pub(crate) weights: &'static [(&'static str, u32, u32)],
}

impl Default for Corpus {
    fn default() -> Self {
        Self {
            records: 200_000,
            seed: 42,
            per_file: 500,
            duplicates: 20,
            incidents: 2,
            accounts: &["111122223333", "222233334444", "333344445555", "444455556666", "555566667777"],
            regions: &["us-east-1", "eu-west-1", "us-west-2", "ap-northeast-1"],
            organization: None,
            start: 1_793_491_500,
            pace: 90,
            weights: &[],
        }
    }
}

/// One log file as delivered.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    /// The object's key.
    pub(crate) key: String,
    /// The object.
    pub(crate) gzip: Vec<u8>,
    /// How many records it holds.
    pub(crate) records: usize,
    /// Bytes of JSON.
    pub(crate) json_bytes: usize,
}

/// What one log file is made from.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The account.
    pub(crate) account: &'static str,
    /// The region.
    pub(crate) region: &'static str,
    /// When it is delivered, in seconds since 1970.
    pub(crate) time: i64,
    /// The records, each a JSON object.
    pub(crate) records: Vec<String>,
}

impl Corpus {
    /// The log files, in the order of delivery.
    pub(crate) fn files(&self) -> impl Iterator<Item = LogFile> {
        let organization = self.organization;
        self.deliveries().map(move |delivery| delivery.pack(organization))
    }

    /// The same, not yet packed.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = Delivery> + use<> {
        let mut author = Author::new(self.clone());
        std::iter::from_fn(move || author.next_delivery())
    }
}

impl Delivery {
    /// The log file: compact JSON in one gzip member, under the key that AWS would give it.
    pub(crate) fn pack(&self, organization: Option<&str>) -> LogFile {
        let json = format!(r#"{{"Records":[{}]}}"#, self.records.join(","));
        let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 5), Compression::new(6));
        let packed = encoder.write_all(json.as_bytes()).and_then(|()| encoder.finish());
        LogFile {
            key: self.key(organization, &json),
            gzip: packed.expect("writing to memory"),
            records: self.records.len(),
            json_bytes: json.len(),
        }
    }

    fn key(&self, organization: Option<&str>, json: &str) -> String {
        let Self { account, region, .. } = self;
        let organization = organization.map(|id| format!("{id}/")).unwrap_or_default();
        let time = Clock::of(self.time);
        let day = format!("{:04}/{:02}/{:02}", time.year, time.month, time.day);
        let minute = format!("{}{:02}{:02}T{:02}{:02}Z", time.year, time.month, time.day, time.hour, time.minute);
        let mut random = Random(json.bytes().fold(json.len() as u64, |hash, byte| mix(hash ^ u64::from(byte))));
        let tail = random.word(names::ALPHANUMERIC, 16);
        format!(
            "AWSLogs/{organization}{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}_{tail}.json.gz"
        )
    }
}

/// Writes the files one after another.
struct Author {
    corpus: Corpus,
    random: Random,
    people: Vec<Vec<Principal>>,
    ordinary: Draw,
    incidents: Draw,
    /// Records of the account's last file, to be delivered again.
    earlier: Vec<Vec<String>>,
    files: i64,
    written: usize,
}

/// What the next record of a burst repeats.
#[derive(Clone, Copy)]
struct Call {
    kind: &'static Kind,
    principal: usize,
    session: u64,
}

impl Author {
    fn new(corpus: Corpus) -> Self {
        let people = corpus.accounts.iter().map(|account| people::of_account(account, corpus.seed)).collect();
        // The same people whenever the files begin, but never the same records.
        let random = Random(mix(corpus.seed ^ mix(corpus.start.unsigned_abs())));
        Self {
            random,
            people,
            ordinary: Draw::of(ORDINARY, corpus.weights),
            incidents: Draw::of(INCIDENTS, &[]),
            earlier: vec![Vec::new(); corpus.accounts.len()],
            files: 0,
            written: 0,
            corpus,
        }
    }

    fn next_delivery(&mut self) -> Option<Delivery> {
        let left = self.corpus.records - self.written;
        if left == 0 {
            return None;
        }
        let size = self.corpus.per_file as u64;
        let count = (size * 6 / 10 + self.random.below(size * 8 / 10 + 1)).clamp(1, left as u64);
        let account = self.random.falling(self.corpus.accounts.len());
        let region = self.corpus.regions[self.random.falling(self.corpus.regions.len())];
        let time = self.corpus.start + self.files * self.corpus.pace;
        let records = self.records(account, region, (time, count));
        self.files += 1;
        self.written += records.len();
        Some(Delivery { account: self.corpus.accounts[account], region, time, records })
    }

    fn records(&mut self, account: usize, region: &'static str, (delivered, count): (i64, u64)) -> Vec<String> {
        let mut records = Vec::new();
        let mut fresh = Vec::new();
        let mut last = None;
        for index in 0..count {
            if self.random.chance(self.corpus.duplicates, 100)
                && let Some(copy) = self.earlier[account].pop()
            {
                records.push(copy);
                continue;
            }
            let call = self.call(account, last);
            last = Some(call);
            let ago = 500 - i64::try_from(index * 300 / count).unwrap_or(0);
            let record = self.record(account, region, (delivered - ago, call));
            if self.random.chance(1, 2) {
                fresh.push(record.clone());
            }
            records.push(record);
        }
        self.earlier[account] = fresh;
        records
    }

    fn call(&mut self, account: usize, last: Option<Call>) -> Call {
        if let Some(call) = last
            && self.random.chance(2, 5)
        {
            return call;
        }
        let kind = if self.random.chance(self.corpus.incidents, 1000) {
            &INCIDENTS[self.incidents.pick(&mut self.random)]
        } else {
            &ORDINARY[self.ordinary.pick(&mut self.random)]
        };
        Call { kind, principal: self.principal(account, kind.by), session: self.random.next() }
    }

    fn principal(&mut self, account: usize, by: By) -> usize {
        let people = &self.people[account];
        loop {
            let index = self.random.falling(people.len());
            let found = match by {
                By::Anyone => true,
                By::Person => people[index].style.is_person(),
                // Their identity does not come from the account's people.
                By::Service(_) | By::Foreign | By::Directory => return 0,
            };
            if found {
                return index;
            }
        }
    }

    /// One record, its members in AWS's order.
    fn record(&mut self, account: usize, region: &'static str, (time, call): (i64, Call)) -> String {
        let Call { kind, principal, session } = call;
        let principal = &self.people[account][principal];
        let mut names = Names {
            account: self.corpus.accounts[account],
            region,
            salt: self.random.next(),
            session,
            time,
            principal,
            random: &mut self.random,
        };
        let mut text = String::with_capacity(2048);
        let person = match kind.by {
            By::Anyone | By::Person => Some(principal),
            _ => None,
        };
        let _ = write!(
            text,
            r#"{{"eventVersion":"{}","userIdentity":"#,
            if kind.form == Form::Data { "1.11" } else { "1.10" }
        );
        names.fill(person.map_or_else(|| people::outsider(kind.by), |person| person.style.identity()), &mut text);
        let _ = write!(
            text,
            r#","eventTime":"{}","eventSource":"{}.amazonaws.com","eventName":"{}","awsRegion":"{region}","#,
            Clock::of(time),
            kind.service,
            kind.name
        );
        names.fill(&people::origin(kind.by, person), &mut text);
        names.fill(error(kind, session), &mut text);
        text.push_str(r#""requestParameters":"#);
        names.fill(kind.request, &mut text);
        text.push_str(r#","responseElements":"#);
        names.fill(if error(kind, session).contains("errorCode") { "null" } else { kind.response }, &mut text);
        text.push(',');
        names.fill(kind.middle, &mut text);
        names.fill(r#""requestID":"$uuid","eventID":"$uuid","#, &mut text);
        let _ = write!(text, r#""readOnly":{},"#, kind.read_only);
        names.fill(kind.resources, &mut text);
        names.fill(closing(kind), &mut text);
        let tls = person.is_some_and(|person| person.style != Style::Console) && kind.form == Form::Management;
        if tls {
            let _ = write!(
                text,
                r#","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{}.{region}.amazonaws.com"}}"#,
                kind.service
            );
        }
        let console = person.is_some_and(|person| person.style == Style::Console) && kind.form == Form::Management;
        text.push_str(if console { r#","sessionCredentialFromConsole":"true"}"# } else { "}" });
        text
    }
}

/// The kind's own error, or one that any call may meet now and then.
fn error(kind: &Kind, session: u64) -> &'static str {
    if !kind.error.is_empty() || kind.form != Form::Management || !matches!(kind.by, By::Anyone) {
        return kind.error;
    }
    match session % 90 {
        0 => {
            r#""errorCode":"AccessDenied","errorMessage":"User: $arn is not authorized to perform this action on resource: arn:aws:iam::$account:role/$role because no identity-based policy allows it","#
        }
        1 => r#""errorCode":"ThrottlingException","errorMessage":"Rate exceeded","#,
        2 => {
            r#""errorCode":"Client.InvalidInstanceID.NotFound","errorMessage":"The instance ID '$instance' does not exist","#
        }
        _ => "",
    }
}

fn closing(kind: &Kind) -> &'static str {
    match kind.form {
        Form::Management => {
            r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"$account","eventCategory":"Management""#
        }
        Form::Data => {
            r#""eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"$account","eventCategory":"Data""#
        }
        Form::SignIn => {
            r#""eventType":"AwsConsoleSignIn","managementEvent":true,"recipientAccountId":"$account","eventCategory":"Management""#
        }
        Form::ServiceEvent => {
            r#""eventType":"AwsServiceEvent","managementEvent":true,"recipientAccountId":"$account","eventCategory":"Management""#
        }
    }
}

/// Draws from a table by weight.
struct Draw {
    /// The sum of the weights up to and including each entry.
    sums: Vec<u64>,
}

impl Draw {
    fn of(kinds: &[Kind], weights: &[(&str, u32, u32)]) -> Self {
        let mut sum = 0;
        let add = |kind: &Kind| {
            let other = weights.iter().find(|(name, weight, _)| (*name, *weight) == (kind.name, kind.weight));
            sum += u64::from(other.map_or(kind.weight, |(_, _, weight)| *weight));
            sum
        };
        Self { sums: kinds.iter().map(add).collect() }
    }

    fn pick(&self, random: &mut Random) -> usize {
        let at = random.below(*self.sums.last().expect("a table has entries"));
        self.sums.partition_point(|sum| *sum <= at)
    }
}

/// A generator of numbers (splitmix64).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, of: u64, all: u64) -> bool {
        self.below(all) < of
    }

    /// An index, small ones more often: the smaller of two draws.
    fn falling(&mut self, count: usize) -> usize {
        let count = count as u64;
        usize::try_from(self.below(count).min(self.below(count))).unwrap_or(0)
    }

    fn word(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .map(|_| char::from(alphabet[usize::try_from(self.below(alphabet.len() as u64)).unwrap_or(0)]))
            .collect()
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A point in time as the calendar has it, UTC.
struct Clock {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Clock {
    /// Days to year, month and day, counted in years that begin in March.
    fn of(time: i64) -> Self {
        let (days, seconds) = (time.div_euclid(86_400) + 719_468, time.rem_euclid(86_400));
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}
