//! Who calls: the people and workloads of an account, and those who come from outside.

use super::Random;
use super::kinds::By;

/// Somebody who calls AWS.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) style: Style,
    pub(super) name: String,
    /// The unique id, as in `principalId`.
    pub(super) id: String,
    pub(super) access_key: String,
    pub(super) address: String,
    agent: usize,
}

/// How a principal comes to its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// An IAM user with a long-term key.
    User,
    /// An IAM user in the console.
    Console,
    /// A person's session through the Identity Center.
    Staff,
    /// A role that was assumed from another role.
    Chain,
    /// A function.
    Function,
    /// An instance.
    Instance,
    /// A task or a pipeline with a web identity.
    Web,
    /// A person's request that a service carried on.
    Forwarded,
}

impl Style {
    pub(super) fn is_person(self) -> bool {
        matches!(self, Self::User | Self::Console | Self::Staff)
    }

    /// `userIdentity`.
    pub(super) fn identity(self) -> &'static str {
        match self {
            Self::User => {
                r#"{"type":"IAMUser","principalId":"$id","arn":"arn:aws:iam::$account:user/$who","accountId":"$account","accessKeyId":"$longterm","userName":"$who"}"#
            }
            Self::Console => {
                r#"{"type":"IAMUser","principalId":"$id","arn":"arn:aws:iam::$account:user/$who","accountId":"$account","accessKeyId":"$signer","userName":"$who","sessionContext":{"attributes":{"creationDate":"$since","mfaAuthenticated":"true"}}}"#
            }
            Self::Staff => {
                r#"{"type":"AssumedRole","principalId":"$id:$session","arn":"arn:aws:sts::$account:assumed-role/$who/$session","accountId":"$account","accessKeyId":"$signer","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"$id","arn":"arn:aws:iam::$account:role/aws-reserved/sso.amazonaws.com/eu-west-1/$who","accountId":"$account","userName":"$who"},"webIdFederationData":{},"attributes":{"creationDate":"$since","mfaAuthenticated":"false"}}}"#
            }
            Self::Chain => {
                r#"{"type":"AssumedRole","principalId":"$id:$session","arn":"arn:aws:sts::$account:assumed-role/$who/$session","accountId":"$account","accessKeyId":"$signer","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"$id","arn":"arn:aws:iam::$account:role/$who","accountId":"$account","userName":"$who"},"webIdFederationData":{},"attributes":{"creationDate":"$since","mfaAuthenticated":"false"},"sourceIdentity":"$session"}}"#
            }
            Self::Function => {
                r#"{"type":"AssumedRole","principalId":"$id:$session","arn":"arn:aws:sts::$account:assumed-role/$who/$session","accountId":"$account","accessKeyId":"$signer","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"$id","arn":"arn:aws:iam::$account:role/$who","accountId":"$account","userName":"$who"},"attributes":{"creationDate":"$since","mfaAuthenticated":"false"}},"inScopeOf":{"sourceArn":"arn:aws:lambda:$region:$account:function:$session","sourceAccount":"$account","issuerType":"AWS::Lambda::Function","credentialsIssuedTo":"arn:aws:lambda:$region:$account:function:$session"}}"#
            }
            Self::Instance => {
                r#"{"type":"AssumedRole","principalId":"$id:$session","arn":"arn:aws:sts::$account:assumed-role/$who/$session","accountId":"$account","accessKeyId":"$signer","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"$id","arn":"arn:aws:iam::$account:role/$who","accountId":"$account","userName":"$who"},"webIdFederationData":{},"attributes":{"creationDate":"$since","mfaAuthenticated":"false"},"ec2RoleDelivery":"2.0"}}"#
            }
            Self::Web => {
                r#"{"type":"AssumedRole","principalId":"$id:$session","arn":"arn:aws:sts::$account:assumed-role/$who/$session","accountId":"$account","accessKeyId":"$signer","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"$id","arn":"arn:aws:iam::$account:role/$who","accountId":"$account","userName":"$who"},"webIdFederationData":{"federatedProvider":"arn:aws:iam::$account:oidc-provider/token.actions.githubusercontent.com","attributes":{}},"attributes":{"creationDate":"$since","mfaAuthenticated":"false"}}}"#
            }
            Self::Forwarded => {
                r#"{"type":"AssumedRole","principalId":"$id:$session","arn":"arn:aws:sts::$account:assumed-role/$who/$session","accountId":"$account","accessKeyId":"$signer","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"$id","arn":"arn:aws:iam::$account:role/$who","accountId":"$account","userName":"$who"},"webIdFederationData":{},"attributes":{"creationDate":"$since","mfaAuthenticated":"false"}},"invokedBy":"cloudformation.amazonaws.com"}"#
            }
        }
    }

    /// The ARN in it.
    pub(super) fn arn(self) -> &'static str {
        match self {
            Self::User | Self::Console => "arn:aws:iam::$account:user/$who",
            _ => "arn:aws:sts::$account:assumed-role/$who/$session",
        }
    }
}

/// `userIdentity` of those who do not belong to the account.
pub(super) fn outsider(by: By) -> &'static str {
    match by {
        By::Service("lambda") => r#"{"type":"AWSService","invokedBy":"lambda.amazonaws.com"}"#,
        By::Service("ec2") => r#"{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}"#,
        By::Service("autoscaling") => r#"{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}"#,
        By::Service("delivery.logs") => r#"{"type":"AWSService","invokedBy":"delivery.logs.amazonaws.com"}"#,
        By::Service("cloudtrail") => r#"{"type":"AWSService","invokedBy":"cloudtrail.amazonaws.com"}"#,
        By::Service("kms") => r#"{"accountId":"$account","invokedBy":"AWS Internal"}"#,
        By::Foreign => {
            r#"{"type":"AWSAccount","principalId":"AROA000000PARTNER0001:collector","accountId":"777788889999"}"#
        }
        By::Directory => {
            r#"{"type":"IdentityCenterUser","accountId":"$account","onBehalfOf":{"userId":"c2b5$short-10b1-70a4-3f2e-5d1c9a7be0f4","identityStoreArn":"arn:aws:identitystore::$account:identitystore/d-9067a1b2c3"},"credentialId":"$uuid"}"#
        }
        _ => r#"{"type":"AWSService","invokedBy":"config.amazonaws.com"}"#,
    }
}

/// `sourceIPAddress` and `userAgent`, with a comma behind them.
pub(super) fn origin(by: By, person: Option<&Principal>) -> String {
    match (by, person) {
        (_, Some(person)) if person.style == Style::Forwarded => {
            both("cloudformation.amazonaws.com", "cloudformation.amazonaws.com")
        }
        (_, Some(person)) => both("$address", AGENTS[person.agent]),
        (By::Service("kms"), None) => both("AWS Internal", "AWS Internal"),
        (By::Service(name), None) => both(&format!("{name}.amazonaws.com"), &format!("{name}.amazonaws.com")),
        (_, None) => both("198.51.100.77", AGENTS[4]),
    }
}

fn both(address: &str, agent: &str) -> String {
    format!(r#""sourceIPAddress":"{address}","userAgent":"{agent}","#)
}

const AGENTS: &[&str] = &[
    "aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.1 md/GOOS#linux md/GOARCH#arm64 api/ec2#1.254.1 m/E,i",
    "Boto3/1.40.55 md/Botocore#1.40.55 ua/2.1 os/linux#6.1.153-175.280.amzn2023.aarch64 md/arch#aarch64 lang/python#3.13.7 md/pyimpl#CPython exec-env/AWS_Lambda_python3.13 m/Z,b,n cfg/retry-mode#legacy Botocore/1.40.55",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.4 (+https://www.terraform.io) terraform-provider-aws/6.17.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.24.6 md/GOOS#linux md/GOARCH#amd64",
    "aws-sdk-java/2.35.10 md/io#sync md/http#Apache ua/2.1 os/Linux#6.1.155 lang/java#21.0.8 md/OpenJDK_64-Bit_Server_VM#21.0.8+9-LTS md/vendor#Amazon.com_Inc. md/en_US m/D,N,e",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "aws-cli/2.31.18 md/awscrt#0.27.6 ua/2.1 os/macos#25.0.0 md/arch#arm64 lang/python#3.13.7 md/pyimpl#CPython m/W,C,Z,E,b cfg/retry-mode#standard md/installer#source sid/9f02c7d1ab34 md/prompt#off md/command#ec2.describe-instances",
    "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.790 Linux/5.10.244-219.971.amzn2int.x86_64 OpenJDK_64-Bit_Server_VM/25.462-b09 java/1.8.0_462 vendor/Oracle_Corporation cfg/retry-mode/standard]",
];

const STYLES: &[(Style, &[&str], &[usize])] = &[
    (
        Style::Function,
        &["orders-task", "ledger-task", "billing-cron", "auth-task", "search-indexer", "stock-sync"],
        &[1, 3],
    ),
    (Style::Instance, &["node-live", "node-batch", "build-agents"], &[0, 3]),
    (Style::Web, &["github-ci", "cluster-autoscaler", "external-dns"], &[0, 2]),
    (
        Style::Staff,
        &["AWSReservedSSO_Developers_1f0c2a9d3b4e5f60", "AWSReservedSSO_ReadOnly_77aa00c1d2e3f405"],
        &[4, 5, 6],
    ),
    (Style::Chain, &["deploy-live", "metrics-reader"], &[0, 1]),
    (Style::Forwarded, &["cloudformation-deploy"], &[0]),
    (Style::Console, &["frank", "grace"], &[4, 6]),
    (Style::User, &["ci-deploy", "backup-nightly", "legacy-export"], &[1, 2, 5]),
];

const STAFF: &[&str] =
    &["alice@example.com", "bob@example.com", "carol@example.com", "dave@example.com", "erin@example.com"];

impl Principal {
    /// The name of one of the principal's sessions.
    pub(super) fn session(&self, number: u64) -> String {
        let pick = |list: &[&str]| list[usize::try_from(number % list.len() as u64).unwrap_or(0)].to_owned();
        match self.style {
            Style::Staff | Style::Chain => pick(STAFF),
            Style::Instance => format!("i-0{:016x}", super::mix(number % 200)),
            Style::Web => format!("github-run-{}", 18_400_000_000_u64 + number % 100_000),
            Style::Forwarded => "AWSCloudFormation".to_owned(),
            _ => self.name.clone(),
        }
    }
}

/// The people and workloads of an account, the busiest first.
pub(super) fn of_account(account: &str, seed: u64) -> Vec<Principal> {
    let random = &mut Random(super::mix(seed ^ account.parse().unwrap_or(0)));
    let mut people = Vec::new();
    for round in 0..2 {
        for (style, names, agents) in STYLES {
            for name in *names {
                let agent = agents[usize::try_from(random.below(agents.len() as u64)).unwrap_or(0)];
                people.push(principal(*style, (name, round), agent, random));
            }
        }
    }
    // A service role that only this account has.
    people.push(principal(Style::Function, (&format!("etl-{}", &account[..4]), 0), 1, random));
    people
}

fn principal(style: Style, (name, round): (&str, usize), agent: usize, random: &mut Random) -> Principal {
    let prefix = if matches!(style, Style::User | Style::Console) { "AIDA" } else { "AROA" };
    let address = match style {
        Style::Staff | Style::Console => format!("203.0.113.{}", 10 + random.below(40)),
        Style::Web => format!("198.51.100.{}", 10 + random.below(200)),
        _ => format!("10.20.{}.{}", random.below(64), 1 + random.below(250)),
    };
    Principal {
        style,
        name: if round == 0 { name.to_owned() } else { format!("{name}-{}", round + 1) },
        id: format!("{prefix}{}", random.word(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17)),
        access_key: format!("AKIA{}", random.word(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        address,
        agent,
    }
}
