//! Servers on loopback that stand in for AWS, and the functions' real binaries started against them.
//!
//! ```ignore
//! let (dynamo, s3, sns) = (Dynamo::start().await, S3::start(&["logs"]).await, Sns::start().await);
//! let people = sns.create_topic("people");
//! let proxy = Proxy::start(&dynamo.url()).await;
//! let environment = Environment::new().dynamodb(&proxy.url()).s3(&s3.url()).sns(&sns.url()).set("TABLE", TABLE);
//! let ingest = Function::start(&binary("ingest"), &environment).await;
//!
//! s3.put("logs", key, log_file(&[record])).await;
//! proxy.set_plan(Plan::new().on(Requests::nth(2).operation("PutItem"), Fault::kill_after(&ingest)));
//! assert!(matches!(ingest.invoke(&batch).await, Err(FunctionError::Exited(_))));
//! ingest.invoke(&batch).await.expect("a new process, as Lambda starts one");
//! assert_eq!(sns.published_to(&people).len(), 1);
//! ```

pub(crate) mod aws_cli;
pub(crate) mod binary;
pub(crate) mod browser;
pub(crate) mod cloudtrail;
pub(crate) mod digests;
pub(crate) mod dynamo;
pub(crate) mod http;
pub(crate) mod lambda;
pub(crate) mod moto;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod runtime_api;
pub(crate) mod s3;
pub(crate) mod sns;
pub(crate) mod sts;

/// The region of all servers.
pub(crate) const REGION: &str = "eu-central-1";

/// The account of the functions and topics.
pub(crate) const ACCOUNT: &str = "111122223333";

/// The key that functions and clients sign with; S3 checks it.
pub(crate) const ACCESS_KEY: &str = "ASIAQTRAILTESTEXAMPLE";

/// The secret of [`ACCESS_KEY`].
pub(crate) const SECRET_KEY: &str = "not-a-secret-of-anyone";
