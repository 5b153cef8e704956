//! Where a service is.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use trail::snapshot::GLOBAL;

use super::api::{self, Service};

/// The regions that every account of the partition has from the start: what is asked where an account cannot tell.
/// (AWS General Reference, regions; those that must be enabled first are left out.)
const FROM_THE_START: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Endpoints as the SDK's configuration has them, and those that AWS documents.
#[derive(Debug)]
pub(crate) struct Endpoints {
    config: SdkConfig,
    /// The collector's own region.
    pub(crate) region: String,
    pub(super) partition: &'static Partition,
}

/// A part of AWS with accounts and names of its own.
#[derive(Debug)]
pub(super) struct Partition {
    /// As ARNs name it.
    pub(super) name: &'static str,
    suffix: &'static str,
    /// Where its global services sign, and where they are.
    global_region: &'static str,
    iam_region: &'static str,
    iam_host: &'static str,
    pub(super) regions: &'static [&'static str],
}

const PARTITIONS: [Partition; 3] = [
    Partition {
        name: "aws",
        suffix: "amazonaws.com",
        global_region: "us-east-1",
        iam_region: "us-east-1",
        iam_host: "iam.amazonaws.com",
        regions: &FROM_THE_START,
    },
    Partition {
        name: "aws-us-gov",
        suffix: "amazonaws.com",
        global_region: "us-gov-west-1",
        iam_region: "us-gov-west-1",
        iam_host: "iam.us-gov.amazonaws.com",
        regions: &["us-gov-east-1", "us-gov-west-1"],
    },
    Partition {
        name: "aws-cn",
        suffix: "amazonaws.com.cn",
        global_region: "cn-northwest-1",
        iam_region: "cn-north-1",
        iam_host: "iam.cn-north-1.amazonaws.com.cn",
        regions: &["cn-north-1", "cn-northwest-1"],
    },
];

impl Partition {
    fn of(region: &str) -> &'static Self {
        let name = match region {
            _ if region.starts_with("us-gov-") => "aws-us-gov",
            _ if region.starts_with("cn-") => "aws-cn",
            _ => "aws",
        };
        PARTITIONS.iter().find(|partition| partition.name == name).unwrap_or(&PARTITIONS[0])
    }
}

impl Endpoints {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let region = config.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
        Self { config: config.clone(), partition: Partition::of(&region), region }
    }

    /// The region that a request to this service is signed for.
    pub(super) fn signing_region<'a>(&'a self, service: &Service, asked: &'a str) -> &'a str {
        match service.name {
            "iam" => self.partition.iam_region,
            _ if service.global => self.partition.global_region,
            _ if asked == GLOBAL => &self.region,
            _ => asked,
        }
    }

    /// An endpoint of one's own, without a slash at its end: for this service alone, else for everything.
    pub(super) fn own(&self, service: &Service) -> Option<String> {
        let key = ServiceConfigKey::builder().service_id(service.id).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let key = key.build().ok()?;
        let own = self.config.service_config().and_then(|services| services.load_config(key));
        let url = own.or_else(|| self.config.endpoint_url().map(str::to_owned))?;
        Some(url.trim_end_matches('/').to_owned())
    }

    /// The address of a service in the own region, without a slash at its end.
    pub(crate) fn address(&self, service: &str) -> String {
        let service = api::service(service);
        self.own(service).unwrap_or_else(|| format!("https://{}", self.host(service, &self.region)))
    }

    /// The host of a service, in front of which a bucket's name or an account may stand.
    pub(super) fn host(&self, service: &Service, region: &str) -> String {
        let region = self.signing_region(service, region);
        match service.name {
            "iam" => self.partition.iam_host.to_owned(),
            "s3control" => format!("s3-control.{region}.{}", self.partition.suffix),
            name => format!("{name}.{region}.{}", self.partition.suffix),
        }
    }
}
