//! A function as Lambda runs it: a process, the environment it gets, one invocation at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{sleep, timeout};

use super::process::{Output, Process};
use super::runtime_api::{Init, Outcome, Report, RuntimeApi};
use super::{ACCESS_KEY, REGION, SECRET_KEY};

/// How long a process may take to its first poll. Lambda allows 10 seconds; a busy test machine gets more.
const INIT_TIMEOUT: Duration = Duration::from_mins(1);

/// How long an invocation may take unless [`Function::with_timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The variables of a function beside those that Lambda sets itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// No variables.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets a variable; it wins over what Lambda sets.
    #[must_use]
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Where `DynamoDB` is: the engine or a proxy before it.
    #[must_use]
    pub(crate) fn dynamodb(self, url: &str) -> Self {
        self.set("AWS_ENDPOINT_URL_DYNAMODB", url)
    }

    /// Where S3 is.
    #[must_use]
    pub(crate) fn s3(self, url: &str) -> Self {
        self.set("AWS_ENDPOINT_URL_S3", url)
    }

    /// Where SNS is.
    #[must_use]
    pub(crate) fn sns(self, url: &str) -> Self {
        self.set("AWS_ENDPOINT_URL_SNS", url)
    }
}

/// Why an invocation gave no response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FunctionError {
    /// The handler failed; the process lives on.
    Reported(Report),
    /// The process said that it cannot start.
    Init(Report),
    /// The process never asked for an invocation and was killed.
    InitTimedOut,
    /// The process died, while it started or during the invocation.
    Exited(ExitStatus),
    /// The deadline passed and the process was killed.
    TimedOut,
}

/// One execution environment of a function, killed when dropped.
///
/// Several may run at once, of one binary or of many; each has a runtime API of its own.
pub(crate) struct Function {
    shared: Arc<Shared>,
    timeout: Duration,
    /// Held during an invocation: an environment never has two.
    turn: AsyncMutex<()>,
}

impl Function {
    /// Starts the process, without waiting for its first poll.
    pub(crate) async fn start(binary: &Path, environment: &Environment) -> Self {
        Self::start_with(binary, &[], environment).await
    }

    /// As [`Function::start`], with arguments, which Lambda never gives.
    pub(crate) async fn start_with(binary: &Path, arguments: &[&str], environment: &Environment) -> Self {
        let shared = Shared {
            binary: binary.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: environment.clone(),
            folder: TempDir::new().expect("a temporary folder"),
            output: Output::default(),
            current: Mutex::default(),
        };
        let function = Self { shared: Arc::new(shared), timeout: TIMEOUT, turn: AsyncMutex::default() };
        function.restart().await;
        function
    }

    /// Sets the function's timeout: the deadline of each invocation.
    #[must_use]
    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends an event and waits for what becomes of it, calling a dead process back to life first, as Lambda does.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value, FunctionError> {
        let _turn = self.turn.lock().await;
        if self.exit_status().is_some() {
            self.restart().await;
        }
        let incarnation = self.shared.incarnation();
        incarnation.initialized().await?;
        incarnation.invoke(event, self.timeout).await
    }

    /// Kills the process and starts a new one.
    pub(crate) async fn restart(&self) {
        let incarnation = Incarnation::start(&self.shared).await;
        self.shared.current().replace(Arc::new(incarnation));
    }

    /// Waits for the first poll; returns the time from spawn to then.
    pub(crate) async fn initialized(&self) -> Result<Duration, FunctionError> {
        self.shared.incarnation().initialized().await
    }

    /// Resident memory in bytes, or `None` when the process is dead.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        self.shared.incarnation().process.resident_bytes()
    }

    /// How the process ended, or `None` while it runs.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        self.shared.incarnation().process.exit_status()
    }

    /// What this process and those before it wrote.
    pub(crate) fn output(&self) -> &Output {
        &self.shared.output
    }

    /// A handle that a fault plan can keep.
    pub(crate) fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.shared))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.killer().kill();
    }
}

/// Kills whatever process the function has at that moment.
#[derive(Clone)]
pub(crate) struct Killer(Arc<Shared>);

impl Killer {
    /// Kills as `SIGKILL` does. When this returns the process is gone.
    pub(crate) fn kill(&self) {
        self.0.incarnation().process.kill();
    }
}

/// What all processes of a function share.
struct Shared {
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Environment,
    /// The working directory, so that nothing is written into the project.
    folder: TempDir,
    output: Output,
    /// Empty only before the first start.
    current: Mutex<Option<Arc<Incarnation>>>,
}

impl Shared {
    fn current(&self) -> MutexGuard<'_, Option<Arc<Incarnation>>> {
        self.current.lock().expect("no panic while held")
    }

    fn incarnation(&self) -> Arc<Incarnation> {
        self.current().clone().expect("started")
    }

    /// The command that Lambda runs, with nothing inherited.
    fn command(&self, api: &RuntimeApi) -> Command {
        let name = self.binary.file_stem().unwrap_or_default().to_string_lossy();
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .current_dir(self.folder.path())
            .envs(LAMBDA_ENVIRONMENT)
            .env("AWS_LAMBDA_FUNCTION_NAME", &*name)
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .envs(&self.environment.0);
        command
    }
}

/// What Lambda sets for every function (Lambda developer guide, "Defined runtime environment variables").
const LAMBDA_ENVIRONMENT: [(&str, &str); 16] = [
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef"),
    ("AWS_REGION", REGION),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ("AWS_SESSION_TOKEN", "a-session-token"),
    ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("LANG", "en_US.UTF-8"),
    ("LD_LIBRARY_PATH", "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"),
    ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
    ("TZ", ":UTC"),
    ("_HANDLER", "bootstrap"),
];

/// One process with the runtime API that it talks to.
///
/// A new process gets a new API: a poll that its killed predecessor left open cannot swallow an invocation.
struct Incarnation {
    api: RuntimeApi,
    process: Process,
}

impl Incarnation {
    async fn start(shared: &Shared) -> Self {
        let api = RuntimeApi::start().await;
        let process = Process::spawn(&mut shared.command(&api), &shared.output);
        Self { api, process }
    }

    /// Waits for the first poll.
    async fn initialized(&self) -> Result<Duration, FunctionError> {
        let settled = async {
            tokio::select! {
                biased;
                init = self.api.initialized() => Ok(init),
                status = self.process.exited() => Err(FunctionError::Exited(status)),
            }
        };
        match timeout(INIT_TIMEOUT, settled).await {
            Ok(Ok(Init::Polled(at))) => Ok(at - self.process.started()),
            Ok(Ok(Init::Failed(report))) => Err(FunctionError::Init(report)),
            Ok(Err(exited)) => Err(exited),
            Ok(Ok(Init::Starting)) | Err(_) => {
                self.process.kill();
                Err(FunctionError::InitTimedOut)
            }
        }
    }

    /// Sends one event. An answer counts even when the process dies right after it.
    async fn invoke(&self, event: &Value, timeout: Duration) -> Result<Value, FunctionError> {
        let outcome = self.api.submit(event, SystemTime::now() + timeout);
        tokio::select! {
            biased;
            outcome = outcome => match outcome.expect("the API lives as long as this") {
                Outcome::Response(response) => Ok(response),
                Outcome::Error(report) => Err(FunctionError::Reported(report)),
            },
            status = self.process.exited() => Err(FunctionError::Exited(status)),
            () = sleep(timeout) => {
                self.process.kill();
                Err(FunctionError::TimedOut)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::net::SocketAddr;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process;

    use hyper::StatusCode;
    use serde_json::json;

    use super::super::http::{self, Server};
    use super::super::proxy::{Fault, Plan, Proxy, Requests};
    use super::super::runtime_api::client;
    use super::*;

    #[tokio::test]
    async fn answers_and_reported_errors_come_back() {
        let function = bootstrap_function(&Environment::new()).await;
        assert_eq!(function.invoke(&json!({ "answer": [1, 2] })).await, Ok(json!([1, 2])));
        let report = Report { kind: "Test".to_owned(), message: "no".to_owned() };
        assert_eq!(function.invoke(&json!({ "fail": "no" })).await, Err(FunctionError::Reported(report)));
        assert_eq!(function.invoke(&json!({ "answer": 3 })).await, Ok(json!(3)));
        assert_eq!(function.exit_status(), None);
    }

    #[tokio::test]
    async fn a_process_that_died_is_reported_and_started_again() {
        let function = bootstrap_function(&Environment::new()).await;
        let exited = function.invoke(&json!({ "exit": 7 })).await;
        assert_eq!(exited, Err(FunctionError::Exited(ExitStatus::from_raw(7 << 8))));
        assert_eq!(function.invoke(&json!({ "answer": "again" })).await, Ok(json!("again")));
        function.killer().kill();
        assert_eq!(function.exit_status(), Some(ExitStatus::from_raw(9)));
        assert_eq!(function.invoke(&json!({ "answer": "and again" })).await, Ok(json!("and again")));
    }

    #[tokio::test]
    async fn a_process_that_cannot_start_is_reported() {
        let mute = Function::start(Path::new("/bin/false"), &Environment::new()).await;
        assert_eq!(mute.invoke(&json!({})).await, Err(FunctionError::Exited(ExitStatus::from_raw(1 << 8))));
        let wordy = shell("echo no table >&2; exit 3").await;
        assert_eq!(wordy.initialized().await, Err(FunctionError::Exited(ExitStatus::from_raw(3 << 8))));
        assert_eq!(wordy.output().line_with("no table").await.as_deref(), Some("no table"));
        let polite = bootstrap_function(&Environment::new().set("INIT_ERROR", "no settings")).await;
        let report = Report { kind: "Init".to_owned(), message: "no settings".to_owned() };
        assert_eq!(polite.invoke(&json!({})).await, Err(FunctionError::Init(report)));
    }

    #[tokio::test]
    async fn the_deadline_kills() {
        let function = bootstrap_function(&Environment::new()).await.with_timeout(Duration::from_millis(200));
        assert_eq!(function.invoke(&json!({ "hang": true })).await, Err(FunctionError::TimedOut));
        assert_eq!(function.exit_status(), Some(ExitStatus::from_raw(9)));
    }

    #[tokio::test]
    async fn the_environment_is_lambdas_and_nothing_else() {
        let environment =
            Environment::new().dynamodb("http://127.0.0.1:9").s3("http://s3").sns("http://sns").set("TABLE", "t");
        let function = bootstrap_function(&environment).await;
        let variables = function.invoke(&json!({ "environment": true })).await.expect("an answer");
        assert_eq!(variables["AWS_ENDPOINT_URL_DYNAMODB"], "http://127.0.0.1:9");
        assert_eq!(variables["AWS_ENDPOINT_URL_S3"], "http://s3");
        assert_eq!(variables["AWS_ENDPOINT_URL_SNS"], "http://sns");
        assert_eq!(variables["TABLE"], "t");
        assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512");
        assert_eq!(variables["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
        assert_eq!(variables["AWS_REGION"], REGION);
        assert!(variables["AWS_LAMBDA_FUNCTION_NAME"].is_string());
        assert!(variables.get("HOME").is_none() && variables.get("CARGO").is_none());
    }

    #[tokio::test]
    async fn startup_time_and_memory_are_measured() {
        let function = bootstrap_function(&Environment::new()).await;
        assert!(function.initialized().await.expect("a poll") > Duration::ZERO);
        assert!(function.resident_bytes().is_some_and(|bytes| (100_000..10_000_000_000).contains(&bytes)));
        function.killer().kill();
        assert_eq!(function.resident_bytes(), None);
    }

    #[tokio::test]
    async fn functions_run_side_by_side() {
        let environment = Environment::new();
        let functions = futures::future::join_all((0..3).map(|_| bootstrap_function(&environment))).await;
        let events: Vec<_> = (0..3).map(|number| json!({ "answer": number })).collect();
        let answers = functions.iter().zip(&events).map(|(function, event)| function.invoke(event));
        let answers = futures::future::join_all(answers).await;
        assert_eq!(answers, [Ok(json!(0)), Ok(json!(1)), Ok(json!(2))]);
    }

    #[tokio::test]
    async fn a_dropped_function_is_killed() {
        let function = shell("sleep 600").await;
        let killer = function.killer();
        drop(function);
        assert_eq!(killer.0.incarnation().process.exit_status(), Some(ExitStatus::from_raw(9)));
    }

    #[tokio::test]
    async fn killed_before_a_request_is_applied_and_after() {
        let applied = Arc::new(Mutex::new(0));
        let counting = Arc::clone(&applied);
        let upstream = Server::answering(move |_| {
            *counting.lock().expect("no panic while held") += 1;
            async { Some(http::answer(StatusCode::OK, "text/plain", "done")) }
        })
        .await;
        let proxy = Proxy::start(&upstream.url()).await;
        let function = bootstrap_function(&Environment::new()).await;
        let event = json!({ "send": proxy.url().replace("http://", "") });
        for (fault, expected) in [(Fault::kill_before(&function), 0), (Fault::kill_after(&function), 1)] {
            proxy.set_plan(Plan::new().on(Requests::nth(1), fault));
            let killed = FunctionError::Exited(ExitStatus::from_raw(9));
            assert_eq!(function.invoke(&event).await, Err(killed));
            assert_eq!(*applied.lock().expect("no panic while held"), expected);
        }
        assert_eq!(function.invoke(&event).await, Ok(json!("sent")));
        assert_eq!(*applied.lock().expect("no panic while held"), 2);
    }

    /// A function that is a shell script.
    async fn shell(script: &str) -> Function {
        Function::start_with(Path::new("/bin/sh"), &["-c", script], &Environment::new()).await
    }

    /// This very test executable as a function: [`bootstrap`].
    ///
    /// The link leads to the file that runs, even when cargo has put a newer one in its place.
    async fn bootstrap_function(environment: &Environment) -> Function {
        let executable = Path::new("/proc/self/exe");
        let arguments = ["--exact", "support::lambda::tests::bootstrap", "--nocapture"];
        Function::start_with(executable, &arguments, environment).await
    }

    /// A bootstrap that does what its events say. It tests nothing: the tests above start it as a process of its own.
    #[tokio::test]
    async fn bootstrap() {
        let Ok(api) = env::var("AWS_LAMBDA_RUNTIME_API") else { return };
        let api: SocketAddr = api.parse().expect("host and port");
        if let Ok(message) = env::var("INIT_ERROR") {
            client::report(api, "init/error", "Init", &message).await;
            return;
        }
        loop {
            let (id, event) = client::next(api).await;
            match handle(&event).await {
                Ok(response) => client::respond(api, &id, &response).await,
                Err(message) => client::report(api, &format!("invocation/{id}/error"), "Test", &message).await,
            };
        }
    }

    /// Does what an event says.
    async fn handle(event: &Value) -> Result<Value, String> {
        if let Some(code) = event["exit"].as_i64() {
            process::exit(i32::try_from(code).expect("an exit status"));
        }
        if event["hang"] == true {
            std::future::pending::<()>().await;
        }
        if event["environment"] == true {
            return Ok(env::vars()
                .map(|(name, value)| (name, Value::from(value)))
                .collect::<serde_json::Map<_, _>>()
                .into());
        }
        if let Some(address) = event["send"].as_str() {
            return client::post(address.parse().expect("host and port"), "/", String::new())
                .await
                .map(|_| json!("sent"));
        }
        event["fail"].as_str().map_or_else(|| Ok(event["answer"].clone()), |message| Err(message.to_owned()))
    }
}
