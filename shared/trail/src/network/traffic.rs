//! Protocols and ports.

use std::fmt;

use crate::detection::Severity;

/// A protocol, by name or number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `-1`: every protocol with every port.
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of either IP version.
    Icmp,
    /// Anything else, as the record says it.
    Other(String),
}

impl Protocol {
    /// Reads a name or a number (IANA protocol numbers).
    pub fn new(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "-1" | "all" | "any" => Self::All,
            "tcp" | "6" => Self::Tcp,
            "udp" | "17" => Self::Udp,
            "icmp" | "1" | "icmpv6" | "ipv6-icmp" | "58" => Self::Icmp,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a rule lets through: a protocol and its ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Traffic {
    protocol: Protocol,
    from: u16,
    to: u16,
}

impl Traffic {
    /// Everything.
    pub const ALL: Self = Self { protocol: Protocol::All, from: 0, to: u16::MAX };

    /// A protocol and its ports as records say them. Ports that are absent or -1 are all ports; they mean nothing for
    /// protocols that have none. A protocol that is absent is TCP where there are ports, else all of them.
    pub fn new(protocol: &str, from: Option<i64>, to: Option<i64>) -> Self {
        let known = |port: Option<i64>| port.and_then(|port| u16::try_from(port).ok());
        let protocol = match Protocol::new(protocol) {
            Protocol::All if protocol.trim().is_empty() && known(from).is_some() => Protocol::Tcp,
            protocol => protocol,
        };
        let (first, last) = match protocol {
            Protocol::Tcp | Protocol::Udp => (known(from).unwrap_or(0), known(to).unwrap_or(u16::MAX)),
            _ => (0, u16::MAX),
        };
        Self { protocol, from: first.min(last), to: first.max(last) }
    }

    /// The protocol.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// Whether all of `other` is let through too.
    pub fn covers(&self, other: &Self) -> bool {
        self.protocol == Protocol::All
            || (self.protocol == other.protocol && self.from <= other.from && other.to <= self.to)
    }

    /// Whether no port is left out: 0 is none that anybody uses.
    pub fn is_whole(&self) -> bool {
        self.from <= 1 && self.to == u16::MAX
    }

    /// Whether these are the ports that answers come back to, as stateless lists have to let them in (VPC user guide,
    /// "Custom network ACLs", ephemeral ports).
    pub fn is_ephemeral(&self) -> bool {
        matches!((self.from, self.to), (1024 | 32768 | 49152, 60999 | 61000 | 65535))
    }

    /// Names of administration and database services among the ports.
    pub fn services(&self) -> impl Iterator<Item = &'static str> {
        let has_ports = matches!(self.protocol, Protocol::All | Protocol::Tcp | Protocol::Udp);
        let among = move |(port, _): &&(u16, &str)| has_ports && (self.from..=self.to).contains(port);
        SERVICES.iter().filter(among).map(|(_, name)| *name)
    }

    /// How bad it is when the world is let in.
    pub fn severity(&self) -> Severity {
        match self.protocol {
            Protocol::All => Severity::Critical,
            Protocol::Icmp => Severity::Low,
            _ if self.services().next().is_some() => Severity::Critical,
            _ if self.is_web() => Severity::Medium,
            _ => Severity::High,
        }
    }

    /// HTTP and HTTPS alone. HTTP/3 is UDP.
    fn is_web(&self) -> bool {
        match (self.from, self.to) {
            (443, 443) => matches!(self.protocol, Protocol::Tcp | Protocol::Udp),
            (80, 80) => self.protocol == Protocol::Tcp,
            _ => false,
        }
    }

    /// How much it is, to sort by.
    pub(super) fn width(&self) -> usize {
        let ports = usize::from(self.to - self.from) + 1;
        if self.protocol == Protocol::All { usize::MAX } else { ports }
    }
}

impl fmt::Display for Traffic {
    /// `tcp/22`, `udp/8000-8100`, `all tcp ports`, `icmp`, `protocol 47`, `all traffic`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.protocol {
            Protocol::All => return f.write_str("all traffic"),
            Protocol::Icmp => return f.write_str("icmp"),
            Protocol::Other(name) => return write!(f, "protocol {name}"),
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        match (self.from, self.to) {
            _ if self.is_whole() => write!(f, "all {name} ports"),
            (from, to) if from == to => write!(f, "{name}/{from}"),
            (from, to) => write!(f, "{name}/{from}-{to}"),
        }
    }
}

/// Ports through which machines and data are administered, or that nobody means the world to reach: those of AWS Config
/// `restricted-common-ports` and Security Hub EC2.19, and those of databases, brokers and control planes.
const SERVICES: &[(u16, &str)] = &[
    (20, "FTP"),
    (21, "FTP"),
    (22, "SSH"),
    (23, "Telnet"),
    (25, "SMTP"),
    (110, "POP3"),
    (135, "Windows RPC"),
    (137, "NetBIOS"),
    (138, "NetBIOS"),
    (139, "NetBIOS"),
    (143, "IMAP"),
    (161, "SNMP"),
    (389, "LDAP"),
    (445, "SMB"),
    (512, "rexec"),
    (513, "rlogin"),
    (514, "rsh"),
    (636, "LDAP"),
    (873, "rsync"),
    (1433, "SQL Server"),
    (1434, "SQL Server"),
    (1521, "Oracle"),
    (2049, "NFS"),
    (2375, "Docker"),
    (2376, "Docker"),
    (2379, "etcd"),
    (2380, "etcd"),
    (3000, "a development server"),
    (3306, "MySQL"),
    (3389, "RDP"),
    (4333, "mSQL"),
    (5000, "a development server"),
    (5432, "PostgreSQL"),
    (5439, "Redshift"),
    (5500, "VNC"),
    (5601, "Kibana"),
    (5671, "RabbitMQ"),
    (5900, "VNC"),
    (5901, "VNC"),
    (5902, "VNC"),
    (5903, "VNC"),
    (5984, "CouchDB"),
    (5985, "WinRM"),
    (5986, "WinRM"),
    (6379, "Redis"),
    (6443, "Kubernetes"),
    (7001, "WebLogic"),
    (7199, "JMX"),
    (7474, "Neo4j"),
    (7687, "Neo4j"),
    (8020, "HDFS"),
    (8086, "InfluxDB"),
    (8088, "YARN"),
    (8182, "Neptune"),
    (8888, "Jupyter"),
    (9000, "a console"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (9200, "Elasticsearch"),
    (9300, "Elasticsearch"),
    (10250, "kubelet"),
    (11211, "Memcached"),
    (15672, "RabbitMQ"),
    (26257, "CockroachDB"),
    (27017, "MongoDB"),
    (27018, "MongoDB"),
    (27019, "MongoDB"),
    (50000, "Db2"),
    (50070, "HDFS"),
    (61616, "ActiveMQ"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tcp(from: i64, to: i64) -> Traffic {
        Traffic::new("tcp", Some(from), Some(to))
    }

    #[test]
    fn protocols_by_name_and_number() {
        for (text, said) in [
            ("tcp", "tcp/22"),
            ("6", "tcp/22"),
            ("UDP", "udp/22"),
            ("17", "udp/22"),
            ("icmp", "icmp"),
            ("58", "icmp"),
            ("-1", "all traffic"),
            ("47", "protocol 47"),
        ] {
            assert_eq!(Traffic::new(text, Some(22), Some(22)).to_string(), said, "{text}");
        }
    }

    #[test]
    fn ports_that_are_absent_or_minus_one_are_all_ports() {
        assert_eq!(Traffic::new("tcp", None, None).to_string(), "all tcp ports");
        assert_eq!(tcp(-1, -1).to_string(), "all tcp ports");
        assert_eq!(tcp(1, 65535).to_string(), "all tcp ports");
        assert_eq!(tcp(8100, 8000).to_string(), "tcp/8000-8100");
        assert_eq!(Traffic::new("", Some(22), Some(22)).to_string(), "tcp/22");
        assert_eq!(Traffic::new("", None, None), Traffic::ALL);
        assert_eq!(Traffic::new("-1", Some(0), Some(0)), Traffic::ALL, "as Terraform writes it");
    }

    #[test]
    fn all_ports_and_administration_and_database_ports_are_critical() {
        for traffic in [Traffic::ALL, tcp(0, 65535), tcp(22, 22), tcp(20, 30), tcp(3380, 3400), tcp(5432, 5432)] {
            assert_eq!(traffic.severity(), Severity::Critical, "{traffic}");
        }
        assert_eq!(Traffic::new("udp", Some(11211), Some(11211)).severity(), Severity::Critical);
    }

    #[test]
    fn the_web_alone_is_medium_and_the_rest_high() {
        for (from, to, severity) in [
            (443, 443, Severity::Medium),
            (80, 80, Severity::Medium),
            (8080, 8080, Severity::High),
            (443, 444, Severity::High),
            (30000, 32767, Severity::High),
            (80, 443, Severity::Critical),
        ] {
            assert_eq!(tcp(from, to).severity(), severity, "{from}-{to}");
        }
        assert_eq!(Traffic::new("udp", Some(443), Some(443)).severity(), Severity::Medium);
        assert_eq!(Traffic::new("47", None, None).severity(), Severity::High);
        assert_eq!(Traffic::new("icmp", Some(8), Some(-1)).severity(), Severity::Low);
    }

    #[test]
    fn services_are_in_order_of_their_ports() {
        assert!(SERVICES.is_sorted_by_key(|(port, _)| *port));
    }

    proptest! {
        #[test]
        fn any_protocol_and_ports_are_read(protocol: String, from: Option<i64>, to: Option<i64>) {
            let traffic = Traffic::new(&protocol, from, to);
            let _ = (traffic.severity(), traffic.to_string(), traffic.width());
            prop_assert!(Traffic::ALL.covers(&traffic) && traffic.covers(&traffic));
        }

        #[test]
        fn wider_ranges_are_no_better(a in 0..65536i64, b in 0..65536i64, c in 0..65536i64) {
            let wide = tcp(a.min(b).min(c), a.max(b).max(c));
            prop_assert!(wide.covers(&tcp(a, b)));
            prop_assert!(wide.severity() >= tcp(a, b).severity());
        }
    }
}
