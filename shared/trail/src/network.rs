//! What a firewall rule lets in: which part of the internet, which protocols and ports, and how bad that is.
//!
//! [`Networks`] judges addresses, [`Traffic`] protocols and ports, and [`openings`] the rules of one call together.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::detection::Severity;

mod traffic;

pub use traffic::{Protocol, Traffic};

/// How much of the internet a set of networks takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Openness {
    /// Private addresses, or a public part that somebody may have chosen with care.
    Narrow,
    /// As many public addresses as an IPv4 /8 or an IPv6 /16 has, or more.
    Broad,
    /// The whole public internet of one address family, but for less than [`Openness::Broad`].
    Open,
}

/// Networks that one rule, or several rules together, let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    listed: Vec<IpNet>,
}

impl<'t> FromIterator<&'t str> for Networks {
    /// Texts that are no networks are left out.
    fn from_iter<I: IntoIterator<Item = &'t str>>(texts: I) -> Self {
        Self { listed: texts.into_iter().filter_map(network).collect() }
    }
}

impl Networks {
    /// How much of the internet these take in together: `0.0.0.0/1` and `128.0.0.0/1` are all of it.
    pub fn openness(&self) -> Openness {
        FAMILIES.iter().map(|family| family.openness(&self.listed)).max().unwrap_or(Openness::Narrow)
    }

    /// Whether an address is let in.
    pub fn contains(&self, address: IpAddr) -> bool {
        let family = if address.is_ipv4() { &IPV4 } else { &IPV6 };
        let number = number(address);
        family.ranges(&self.listed).iter().any(|(from, to)| (*from..=*to).contains(&number))
    }

    /// What a person would call it: `0.0.0.0/0`, `0.0.0.0/0 and ::/0`, `0.0.0.0/0 in 2 parts`, `8.0.0.0/7`.
    pub fn label(&self) -> String {
        let open = |family: &&&Family| family.openness(&self.listed) == Openness::Open;
        let worlds: Vec<_> = FAMILIES.iter().filter(open).map(|family| family.label(&self.listed)).collect();
        if !worlds.is_empty() {
            return worlds.join(" and ");
        }
        let broadest = self.listed.iter().min_by_key(|net| (net.prefix_len(), **net));
        match (broadest, self.listed.len()) {
            (None, _) => String::new(),
            (Some(one), 1) => one.to_string(),
            (Some(one), n) => format!("{one} and {} more networks", n - 1),
        }
    }

    fn extend(&mut self, other: &Self) {
        self.listed.extend_from_slice(&other.listed);
    }
}

/// Reads a network in the spellings that AWS takes: `0.0.0.0/00`, `0::/0`, host bits set, a lone address, IPv4 within
/// IPv6 (`::ffff:0:0/96` is `0.0.0.0/0`). `None`: it is no network.
pub fn network(text: &str) -> Option<IpNet> {
    let (address, prefix) = match text.trim().split_once('/') {
        Some((address, prefix)) => (address_of(address)?, Some(prefix.parse().ok()?)),
        None => (address_of(text.trim())?, None),
    };
    let all_bits = if address.is_ipv4() { 32 } else { 128 };
    let net = IpNet::new(address, prefix.unwrap_or(all_bits)).ok()?.trunc();
    Some(unmapped(net))
}

fn address_of(text: &str) -> Option<IpAddr> {
    if text.contains(':') { text.parse::<Ipv6Addr>().ok().map(IpAddr::V6) } else { ipv4(text).map(IpAddr::V4) }
}

/// Zeros in front of a part, and parts left out at the end, as in `000.000.000.000` and `0`.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for (octet, part) in octets.iter_mut().zip(parts.by_ref()) {
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let v4 = || {
        let prefix = v6.prefix_len().checked_sub(96)?;
        Ipv4Net::new(v6.network().to_ipv4_mapped()?, prefix).ok()
    };
    v4().map_or(net, IpNet::V4)
}

/// An address as a number; the families are counted apart.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// First and last address.
type Range = (u128, u128);

/// What is public in an address family.
struct Family {
    v4: bool,
    world: &'static str,
    /// Routed on the internet, in order and disjoint (IANA special-purpose registries).
    public: &'static [Range],
    /// So many public addresses are broad.
    broad: u128,
}

const FAMILIES: [&Family; 2] = [&IPV4, &IPV6];

static IPV4: Family = Family {
    v4: true,
    world: "0.0.0.0/0",
    public: &[
        (v4(1, 0), v4(10, 0) - 1),
        (v4(11, 0), v4(100, 64) - 1),
        (v4(100, 128), v4(127, 0) - 1),
        (v4(128, 0), v4(169, 254) - 1),
        (v4(169, 255), v4(172, 16) - 1),
        (v4(172, 32), v4(192, 168) - 1),
        (v4(192, 169), v4(224, 0) - 1),
    ],
    broad: 1 << (32 - 8),
};

/// `2000::/3` is all that was ever given out.
static IPV6: Family =
    Family { v4: false, world: "::/0", public: &[(0x2000 << 112, (0x4000 << 112) - 1)], broad: 1 << (128 - 16) };

const fn v4(first: u128, second: u128) -> u128 {
    (first << 24) + (second << 16)
}

impl Family {
    fn openness(&self, listed: &[IpNet]) -> Openness {
        let public: u128 = self.public.iter().map(|(from, to)| to - from + 1).sum();
        match shared(&self.ranges(listed), self.public) {
            covered if public - covered < self.broad => Openness::Open,
            covered if covered >= self.broad => Openness::Broad,
            _ => Openness::Narrow,
        }
    }

    /// The networks of this family as disjoint ranges in order.
    fn ranges(&self, listed: &[IpNet]) -> Vec<Range> {
        let own = listed.iter().filter(|net| net.network().is_ipv4() == self.v4);
        let mut ranges: Vec<_> = own.map(|net| (number(net.network()), number(net.broadcast()))).collect();
        ranges.sort_unstable();
        let mut merged: Vec<Range> = Vec::new();
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    fn label(&self, listed: &[IpNet]) -> String {
        let own: Vec<_> = listed.iter().filter(|net| net.network().is_ipv4() == self.v4).collect();
        if own.iter().any(|net| net.prefix_len() == 0) {
            return self.world.to_owned();
        }
        match own[..] {
            [one] => one.to_string(),
            _ => format!("{} in {} parts", self.world, own.len()),
        }
    }
}

/// How many addresses are in both of two lists of disjoint ranges. No list that is counted here holds all 2^128.
fn shared(some: &[Range], others: &[Range]) -> u128 {
    let common = |(a, b): (&Range, &Range)| {
        let (from, to) = (a.0.max(b.0), a.1.min(b.1));
        if from <= to { to - from + 1 } else { 0 }
    };
    some.iter().flat_map(|a| others.iter().map(move |b| (a, b))).map(common).sum()
}

/// What a call lets in from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Protocols and ports.
    pub traffic: Traffic,
    /// From where; empty where the rule names security groups or prefix lists instead.
    pub networks: Networks,
}

/// Something that is open to more of the internet than anybody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Protocols and ports.
    pub traffic: Traffic,
    /// To where.
    pub networks: Networks,
    /// How far.
    pub openness: Openness,
    /// How bad: what the traffic says, HIGH at most where it is broad rather than open.
    pub severity: Severity,
}

/// With how many others a rule is taken together: far more than one call may hold.
const COMPARED: usize = 512;

/// What the rules of one call open, the most dangerous first. Rules that let in the same traffic count together, so
/// that the world in two halves is the world.
pub fn openings(rules: &[Rule]) -> Vec<Opening> {
    let mut by_traffic: BTreeMap<&Traffic, Networks> = BTreeMap::new();
    for rule in rules {
        by_traffic.entry(&rule.traffic).or_default().extend(&rule.networks);
    }
    let own = by_traffic.iter().filter(|(_, networks)| !networks.listed.is_empty());
    let mut openings: Vec<_> = own.filter_map(|(traffic, own)| opening(traffic, own, &by_traffic)).collect();
    openings.sort_by_key(|opening| Reverse(opening.danger()));
    openings
}

fn opening(traffic: &Traffic, own: &Networks, all: &BTreeMap<&Traffic, Networks>) -> Option<Opening> {
    let mut networks = own.clone();
    let mut widest = Openness::Narrow;
    if own.openness() < Openness::Open {
        let wider = all.iter().take(COMPARED).filter(|(other, _)| **other != traffic && other.covers(traffic));
        for (_, other) in wider {
            widest = widest.max(other.openness());
            networks.extend(other);
        }
    }
    let openness = networks.openness();
    // What a wider rule opens anyway is told with that rule.
    if widest == Openness::Open || (own.openness() == Openness::Narrow && widest == openness) {
        return None;
    }
    let severity = match openness {
        Openness::Narrow => return None,
        Openness::Broad => traffic.severity().min(Severity::High),
        Openness::Open => traffic.severity(),
    };
    Some(Opening { traffic: traffic.clone(), networks, openness, severity })
}

impl Opening {
    fn danger(&self) -> (Severity, Openness, usize) {
        (self.severity, self.openness, self.traffic.width())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn openness(texts: &[&str]) -> Openness {
        texts.iter().copied().collect::<Networks>().openness()
    }

    #[test]
    fn the_world_in_every_spelling() {
        for world in ["0.0.0.0/0", "0.0.0.0/00", "::/0", "0::/0", "::0/0", " 0.0.0.0/0 ", "10.1.2.3/0", "0/0"] {
            assert_eq!(openness(&[world]), Openness::Open, "{world}");
        }
        assert_eq!(openness(&["::ffff:0:0/96"]), Openness::Open);
        assert_eq!(network("::ffff:0:0/96"), network("0.0.0.0/0"));
        assert_eq!(network("0:0:0:0:0:0:0:0/000"), network("::/0"));
    }

    #[test]
    fn the_world_in_parts_is_the_world() {
        assert_eq!(openness(&["0.0.0.0/1", "128.0.0.0/1"]), Openness::Open);
        assert_eq!(openness(&["::/1", "8000::/1"]), Openness::Open);
        assert_eq!(openness(&["2000::/3"]), Openness::Open, "all public IPv6 addresses");
        assert_eq!(openness(&["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"]), Openness::Open);
        let all_but_private: Vec<_> = (1..224).filter(|n| *n != 10).map(|n| format!("{n}.0.0.0/8")).collect();
        assert_eq!(all_but_private.iter().map(String::as_str).collect::<Networks>().openness(), Openness::Open);
    }

    #[test]
    fn half_the_world_is_broad_and_private_networks_are_no_exposure() {
        for broad in ["0.0.0.0/1", "8.0.0.0/8", "2600::/12", "2000::/16", "192.0.0.0/2"] {
            assert_eq!(openness(&[broad]), Openness::Broad, "{broad}");
        }
        for narrow in ["8.8.0.0/16", "203.0.113.0/24", "2600:1f18::/33", "8.0.0.0/9", "198.51.100.7"] {
            assert_eq!(openness(&[narrow]), Openness::Narrow, "{narrow}");
        }
        for private in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7"] {
            assert_eq!(openness(&[private]), Openness::Narrow, "{private}");
        }
        assert_eq!(openness(&["8.0.0.0/9", "8.128.0.0/9"]), Openness::Broad);
    }

    #[test]
    fn what_is_no_network_is_left_out() {
        for text in ["", "/", "/0", "sg-0a1b", "0.0.0.0/33", "1.2.3.4.5/0", "::/129", "0.0.0.0/-1", "é/0"] {
            assert_eq!(network(text), None, "{text}");
        }
        assert_eq!(openness(&["nonsense", "pl-1234"]), Openness::Narrow);
    }

    #[test]
    fn labels_are_what_people_say() {
        let label = |texts: &[&str]| texts.iter().copied().collect::<Networks>().label();
        assert_eq!(label(&["0.0.0.0/00"]), "0.0.0.0/0");
        assert_eq!(label(&["::/0", "0.0.0.0/0", "8.8.8.8"]), "0.0.0.0/0 and ::/0");
        assert_eq!(label(&["0.0.0.0/1", "128.0.0.0/1"]), "0.0.0.0/0 in 2 parts");
        assert_eq!(label(&["2000::/3"]), "2000::/3");
        assert_eq!(label(&["8.8.8.8/32", "16.0.0.0/5"]), "16.0.0.0/5 and 1 more networks");
    }

    fn rule(protocol: &str, ports: (i64, i64), networks: &[&str]) -> Rule {
        Rule {
            traffic: Traffic::new(protocol, Some(ports.0), Some(ports.1)),
            networks: networks.iter().copied().collect(),
        }
    }

    #[test]
    fn the_most_dangerous_opening_comes_first() {
        let rules = [
            rule("tcp", (443, 443), &["0.0.0.0/0"]),
            rule("tcp", (22, 22), &["0.0.0.0/0"]),
            rule("tcp", (8080, 8080), &["0.0.0.0/0"]),
            rule("tcp", (5432, 5432), &["10.0.0.0/8"]),
        ];
        let found = openings(&rules);
        let said: Vec<_> = found.iter().map(|opening| (opening.traffic.to_string(), opening.severity)).collect();
        let expected = [("tcp/22", Severity::Critical), ("tcp/8080", Severity::High), ("tcp/443", Severity::Medium)];
        assert_eq!(said, expected.map(|(text, severity)| (text.to_owned(), severity)));
    }

    #[test]
    fn halves_in_rules_of_their_own_count_together() {
        let halves = [rule("tcp", (22, 22), &["0.0.0.0/1"]), rule("-1", (-1, -1), &["128.0.0.0/1"])];
        let found = openings(&halves);
        assert_eq!((found[0].traffic.to_string().as_str(), found[0].severity), ("tcp/22", Severity::Critical));
        assert_eq!(found[1].severity, Severity::High, "half the world is broad");
        let apart = [rule("tcp", (22, 22), &["0.0.0.0/1"]), rule("udp", (22, 22), &["128.0.0.0/1"])];
        assert!(openings(&apart).iter().all(|opening| opening.openness == Openness::Broad));
    }

    #[test]
    fn what_a_wider_rule_opens_anyway_is_told_once() {
        let everything = rule("-1", (-1, -1), &["0.0.0.0/0"]);
        for inside in [&["10.0.0.0/8"][..], &["8.0.0.0/7"]] {
            let found = openings(&[rule("tcp", (443, 443), inside), everything.clone()]);
            assert_eq!(found.iter().map(|opening| opening.traffic.to_string()).collect::<Vec<_>>(), ["all traffic"]);
        }
        let apart = [rule("tcp", (443, 443), &["8.0.0.0/7"]), rule("-1", (-1, -1), &["64.0.0.0/2"])];
        assert_eq!(openings(&apart).len(), 2, "neither lets in what the other does");
    }

    /// Networks as attackers and templates write them, and addresses near their edges.
    fn nets() -> impl Strategy<Value = Vec<IpNet>> {
        let v4 = (any::<u32>(), 0..=32u8).prop_map(|(n, p)| IpNet::new(Ipv4Addr::from(n).into(), p).expect("v4"));
        let v6 = (any::<u128>(), 0..=128u8).prop_map(|(n, p)| IpNet::new(Ipv6Addr::from(n).into(), p).expect("v6"));
        proptest::collection::vec(prop_oneof![v4, v6], 0..12)
    }

    /// The same by asking every network in turn.
    fn brute(nets: &[IpNet], address: IpAddr) -> bool {
        let address = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        nets.iter().any(|net| net.contains(&address))
    }

    fn beside(address: IpAddr) -> Vec<IpAddr> {
        match address {
            IpAddr::V4(v4) => [-1, 0, 1].map(|d| Ipv4Addr::from(u32::from(v4).wrapping_add_signed(d)).into()).into(),
            IpAddr::V6(v6) => [-1, 0, 1].map(|d| Ipv6Addr::from(u128::from(v6).wrapping_add_signed(d)).into()).into(),
        }
    }

    proptest! {
        #[test]
        fn a_union_lets_in_what_any_part_lets_in(nets in nets(), samples: Vec<u32>) {
            let texts: Vec<_> = nets.iter().map(ToString::to_string).collect();
            let union: Networks = texts.iter().map(String::as_str).collect();
            let edges = nets.iter().flat_map(|net| [net.network(), net.broadcast()]).flat_map(beside);
            let samples = samples.into_iter().map(|n| IpAddr::V4(n.into()));
            for address in edges.chain(samples).filter(|a| !matches!(a, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())) {
                prop_assert_eq!(union.contains(address), brute(&nets, address), "{}", address);
            }
        }

        #[test]
        fn openness_does_not_depend_on_how_the_world_is_split(prefix in 0..10u8, hidden in 0..1024usize) {
            let world: Ipv4Net = "0.0.0.0/0".parse().expect("a network");
            let mut parts: Vec<_> = world.subnets(prefix).expect("parts").map(|net| net.to_string()).collect();
            let whole: Networks = parts.iter().map(String::as_str).collect();
            prop_assert_eq!(whole.openness(), Openness::Open);
            // Whoever leaves out a part that is small enough still opened the world.
            parts.remove(hidden % parts.len());
            let rest: Networks = parts.iter().map(String::as_str).collect();
            if prefix > 8 {
                prop_assert_eq!(rest.openness(), Openness::Open);
            }
        }

        #[test]
        fn adding_a_network_never_closes(nets in nets(), more in nets()) {
            let few = Networks { listed: nets.clone() };
            let many = Networks { listed: [nets, more].concat() };
            prop_assert!(few.openness() <= many.openness());
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, digits in "[0-9a-f:./]{0,40}") {
            for text in [text.as_str(), digits.as_str()] {
                let networks: Networks = [text].into_iter().collect();
                let _ = (networks.openness(), networks.label());
            }
        }
    }
}
