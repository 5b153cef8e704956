//! What a call was made with, by what the caller says of himself: a user agent can say anything.

use serde::Serialize;

/// What a call was made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Device {
    /// What sort of thing it is.
    pub kind: DeviceKind,
    /// For people: `Firefox 145 on Linux`. Foreign text: escape it where it is shown.
    pub name: String,
}

/// A sort of device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A person's browser, or AWS's console behind it.
    Browser,
    /// A command line: of AWS, of another maker.
    CommandLine,
    /// Terraform, Pulumi and the like.
    Infrastructure,
    /// A program with one of AWS's libraries.
    Library,
    /// An AWS service.
    Service,
    /// Nothing that is known by its name.
    #[default]
    Other,
}

/// What a user agent begins with or holds, and what that means. The first that fits counts: tools name the library
/// that they are made with behind their own name, or in front of it.
const KNOWN: &[(&str, DeviceKind, &str)] = &[
    ("Terraform", DeviceKind::Infrastructure, "Terraform"),
    ("OpenTofu", DeviceKind::Infrastructure, "OpenTofu"),
    ("Pulumi", DeviceKind::Infrastructure, "Pulumi"),
    ("ansible", DeviceKind::Infrastructure, "Ansible"),
    ("aws-cdk", DeviceKind::Infrastructure, "AWS CDK"),
    ("eksctl", DeviceKind::CommandLine, "eksctl"),
    ("kubectl", DeviceKind::CommandLine, "kubectl"),
    ("aws-cli", DeviceKind::CommandLine, "AWS CLI"),
    ("AWSPowerShell", DeviceKind::CommandLine, "AWS Tools for PowerShell"),
    ("Edg", DeviceKind::Browser, "Edge"),
    ("Firefox", DeviceKind::Browser, "Firefox"),
    ("Chrome", DeviceKind::Browser, "Chrome"),
    ("Version", DeviceKind::Browser, "Safari"),
    ("S3Console", DeviceKind::Browser, "S3's console"),
    ("Boto3", DeviceKind::Library, "boto3"),
    ("Botocore", DeviceKind::Library, "botocore"),
    ("aws-sdk-go-v2", DeviceKind::Library, "AWS SDK for Go"),
    ("aws-sdk-go", DeviceKind::Library, "AWS SDK for Go"),
    ("aws-sdk-java", DeviceKind::Library, "AWS SDK for Java"),
    ("aws-sdk-js", DeviceKind::Library, "AWS SDK for JavaScript"),
    ("aws-sdk-rust", DeviceKind::Library, "AWS SDK for Rust"),
    ("aws-sdk-dotnet", DeviceKind::Library, "AWS SDK for .NET"),
    ("aws-sdk-ruby", DeviceKind::Library, "AWS SDK for Ruby"),
    ("aws-sdk-php", DeviceKind::Library, "AWS SDK for PHP"),
    ("aws-sdk-cpp", DeviceKind::Library, "AWS SDK for C++"),
    ("python-requests", DeviceKind::Library, "Python requests"),
    ("curl", DeviceKind::CommandLine, "curl"),
];

/// Systems, as user agents name them.
const SYSTEMS: &[(&str, &str)] = &[
    ("android", "Android"),
    ("iphone", "iOS"),
    ("ipad", "iOS"),
    ("windows", "Windows"),
    ("mac os", "macOS"),
    ("macos", "macOS"),
    ("darwin", "macOS"),
    ("linux", "Linux"),
];

/// How much is kept of a user agent that nothing is known of.
const LONGEST: usize = 80;

impl Device {
    /// What a user agent says.
    pub fn of(user_agent: &str) -> Self {
        let agent = user_agent.trim_start_matches('[').trim_end_matches(']');
        if let Some(service) = service(agent) {
            return service;
        }
        let version = |word: &str| version_of(agent, word).map(|version| (word.len(), version));
        let found = KNOWN.iter().find_map(|(word, kind, name)| Some((kind, name, version(word)?.1)));
        let Some((kind, name, version)) = found else {
            return Self { kind: DeviceKind::Other, name: agent.chars().take(LONGEST).collect() };
        };
        let version = if version.is_empty() { String::new() } else { format!(" {version}") };
        let system = system(agent).map_or(String::new(), |system| format!(" on {system}"));
        Self { kind: *kind, name: format!("{name}{version}{system}") }
    }
}

/// Services and consoles call themselves by their host names.
fn service(agent: &str) -> Option<Device> {
    let of = |kind, name: &str| Some(Device { kind, name: name.to_owned() });
    match agent {
        "signin.amazonaws.com" | "console.amazonaws.com" | "console.ec2.amazonaws.com" => {
            of(DeviceKind::Browser, "the AWS console")
        }
        "AWS Internal" => of(DeviceKind::Service, "AWS itself"),
        _ if agent.ends_with(".amazonaws.com") && !agent.contains(' ') => of(DeviceKind::Service, agent),
        _ => None,
    }
}

/// What stands behind `word/`, as far as it is a version; empty where the word stands alone. Only whole words count.
fn version_of<'a>(agent: &'a str, word: &str) -> Option<&'a str> {
    let at = agent.find(word)?;
    let before = agent[..at].chars().next_back();
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let rest = &agent[at + word.len()..];
    let Some(version) = rest.strip_prefix(['/', ' ']) else {
        return (rest.is_empty() || rest.starts_with([';', ')'])).then_some("");
    };
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    Some(version[..end].trim_end_matches('.'))
}

fn system(agent: &str) -> Option<&'static str> {
    let lower = agent.to_ascii_lowercase();
    SYSTEMS.iter().find(|(word, _)| lower.contains(word)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_and_programs_call_themselves() {
        for (agent, kind, name) in [
            (
                "aws-cli/2.31.18 md/awscrt#0.27.6 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.7",
                DeviceKind::CommandLine,
                "AWS CLI 2.31.18 on Linux",
            ),
            ("[aws-cli/1.16 Python/3.6 Darwin/19.0]", DeviceKind::CommandLine, "AWS CLI 1.16 on macOS"),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                DeviceKind::Browser,
                "Firefox 145.0 on Linux",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
                DeviceKind::Browser,
                "Safari 18.1 on macOS",
            ),
            (
                "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 (+https://www.terraform.io) aws-sdk-go-v2/1.32 os/linux",
                DeviceKind::Infrastructure,
                "Terraform 1.9.8 on Linux",
            ),
            ("Boto3/1.35.0 md/Botocore#1.35.0 os/linux", DeviceKind::Library, "boto3 1.35.0 on Linux"),
            ("autoscaling.amazonaws.com", DeviceKind::Service, "autoscaling.amazonaws.com"),
            ("signin.amazonaws.com", DeviceKind::Browser, "the AWS console"),
            ("", DeviceKind::Other, ""),
        ] {
            assert_eq!(Device::of(agent), Device { kind, name: name.to_owned() }, "{agent}");
        }
    }

    #[test]
    fn a_part_of_a_word_and_a_sentence_are_no_device() {
        for agent in ["mycurl/1.0", "notaws-cli/2.0", "evil autoscaling.amazonaws.com"] {
            assert_eq!(Device::of(agent).kind, DeviceKind::Other, "{agent}");
        }
        assert_eq!(Device::of(&"é".repeat(5000)).name.chars().count(), LONGEST);
    }
}
