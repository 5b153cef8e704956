//! `qtrail review`: who has access, what is decided about it, and what came of that, in a folder.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cloud::asking::Asking;
use cloud::collect::{Collector, Options};
use cloud::deployment::sdk_config_of;
use cloud::review::collect::Taking;
use cloud::review::log::{Opened, Reviews};
use cloud::review::opening::Making;
use cloud::review::store::Store;
use cloud::stores::folder;
use lake::Lake;
use serde_json::{Value, json};
use trail::review::standing::{Line, Remedy, Stage};
use trail::review::{Decision, Entry, Period, Standing, Subject};
use trail::settings::Settings;

use crate::Ending;
use crate::cli::{DecideArgs, Lines, ReviewAction, ReviewArgs, SnapshotArgs};
use crate::output::{self, Printer};
use crate::{findings, input, place};

/// How long snapshots of all accounts may take.
const SNAPSHOTS: Duration = Duration::from_hours(4);

/// How many days of records a review for one who leaves looks back.
const LEAVER_DAYS: i64 = 90;

/// What the command works with.
struct Desk<'d> {
    reviews: Reviews<'d, Store>,
    lake: Lake,
    settings: &'d Settings,
    asking: Asking,
    format: Lines,
    data: &'d std::path::Path,
}

/// Runs the command.
pub(crate) async fn run(arguments: ReviewArgs) -> anyhow::Result<Ending> {
    if arguments.state.table.is_some() {
        bail!(
            "a deployment's reviews are decided on its page, where AWS says who decides: qtrail view --function NAME; \
             leave out --table for a folder's"
        );
    }
    let settings = input::settings_of(&arguments.state)?;
    let state = place::embedded(&arguments.state.data).await?;
    let place = folder(&arguments.state.data)?;
    let lake = Lake::new(place.store.clone(), place.prefix.clone());
    let source = Store::new(place);
    let reviews = Reviews { state: &state, settings: &settings, source: &source, local: true };
    let asking = Asking::local(&findings::who(), cloud::deployment::now());
    let data = arguments.state.data.as_path();
    Desk { reviews, lake, settings: &settings, asking, format: arguments.format, data }.run(arguments.action).await
}

impl Desk<'_> {
    async fn run(&self, action: ReviewAction) -> anyhow::Result<Ending> {
        match action {
            ReviewAction::List => self.list().await?,
            ReviewAction::Open { review } => self.open(&review).await?,
            ReviewAction::Leaver { person } => self.leaver(&person).await?,
            ReviewAction::Snapshot(asked) => return self.snapshot(&asked).await,
            ReviewAction::People { file } => self.people(&file).await?,
            ReviewAction::Show { review, subject: None } => self.show(&review).await?,
            ReviewAction::Show { review, subject: Some(subject) } => self.show_subject(&review, &subject).await?,
            ReviewAction::Subjects { review, undecided } => self.subjects(&review, undecided).await?,
            ReviewAction::Decide(decide) => self.decide(&decide).await?,
            ReviewAction::Except { review, subject, reason, approver } => {
                let id = self.id(&review, &subject).await?;
                self.reviews.except(&review, &self.asking, (&id, &reason, &approver)).await?;
                output::note(&format!("{id} is excepted, approved by {approver}"));
            }
            ReviewAction::Sheet { review } => self.sheet(&review).await?,
            ReviewAction::Propose { review, file } => return self.propose(&review, &file).await,
            ReviewAction::Confirm { review, subjects } => self.confirm(&review, &subjects).await?,
            ReviewAction::SignOff { review, statement, partial } => {
                let signed = self.reviews.sign_off(&review, &self.asking, (&statement, partial)).await?;
                output::note(&format!("{review} is signed off: {signed}"));
            }
        }
        Ok(Ending::Done)
    }

    fn print(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> anyhow::Result<()> {
        let line = if self.format == Lines::Text { text() } else { json().to_string() };
        Ok(Printer::new().line(&line)?)
    }

    async fn list(&self) -> anyhow::Result<()> {
        for meta in self.reviews.state.reviews().await? {
            let id = &meta.period.id;
            self.print(
                || format!("{id}  opened {}, due {}, {} subjects", meta.opened.date(), meta.due.date(), meta.subjects),
                || json!({"review": id, "opened": meta.opened, "due": meta.due, "subjects": meta.subjects}),
            )?;
        }
        Ok(())
    }

    async fn open(&self, review: &str) -> anyhow::Result<()> {
        let period = Period::parse(review, self.settings.review.first_month)?;
        self.open_over(&period, None).await
    }

    async fn leaver(&self, person: &str) -> anyhow::Result<()> {
        self.open_over(&Period::of_leaver(person, self.asking.at, LEAVER_DAYS), Some(person)).await
    }

    async fn open_over(&self, period: &Period, leaver: Option<&str>) -> anyhow::Result<()> {
        let making = Making { lake: &self.lake, settings: self.settings, store: self.reviews.source };
        let review = &period.id;
        let Some(subjects) = making.open(&self.reviews, (period, leaver), self.asking.at).await? else {
            bail!("review {review} is open already: qtrail review show {review}");
        };
        output::note(&format!("{review} is open: {subjects} subjects"));
        Ok(())
    }

    /// Asks AWS who has access, with a person's own credentials.
    async fn snapshot(&self, asked: &SnapshotArgs) -> anyhow::Result<Ending> {
        let options = Options {
            role: asked.role.clone(),
            external_id: asked.external_id.clone().unwrap_or_default(),
            ..Options::default()
        };
        let collector = Collector::connect(&sdk_config_of(asked.profile.as_deref()).await, options).await?;
        let taking = Taking { collector: &collector, settings: self.settings, store: self.reviews.source };
        let progress = taking.take(self.asking.at, Instant::now() + SNAPSHOTS).await?;
        output::note(&format!("{} accounts are taken, {} are left", progress.taken.len(), progress.left.len()));
        if !progress.left.is_empty() {
            return Ok(Ending::Unread);
        }
        self.look_after().await?;
        Ok(Ending::Done)
    }

    /// What a deployment's function does daily: the newest snapshots say what is gone, back or new.
    async fn look_after(&self) -> anyhow::Result<()> {
        let stores = cloud::stores::Stores::new(cloud::deployment::sdk_config().await);
        let deployment = place::deployment(self.reviews.state.clone(), self.data, stores.into())?;
        let settings = deployment.with_own(self.settings.clone());
        let review = cloud::review::handler::Review::new(&deployment, self.reviews.source.clone());
        review.without_reminders().check(&settings, self.asking.at).await?;
        Ok(())
    }

    async fn people(&self, file: &std::path::Path) -> anyhow::Result<()> {
        let list = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        let people = self.reviews.source.put_people(&list, &self.asking.to_string(), self.asking.at).await;
        let people = people.with_context(|| format!("{}", file.display()))?;
        people.warnings.iter().for_each(|warning| output::note(warning));
        output::note(&format!("{} persons", people.iter().count()));
        Ok(())
    }

    async fn load(&self, review: &str) -> anyhow::Result<(Opened, Standing)> {
        let opened = self.reviews.load(review).await?;
        let standing = self.reviews.standing(&opened, self.asking.at);
        Ok((opened, standing))
    }

    async fn id(&self, review: &str, subject: &str) -> anyhow::Result<String> {
        let (_, standing) = self.load(review).await?;
        Ok(found(&standing, subject)?.0.id.clone())
    }

    async fn show(&self, review: &str) -> anyhow::Result<()> {
        let (opened, standing) = self.load(review).await?;
        let missing = standing.missing();
        self.print(
            || summary(&opened, &standing, &missing),
            || json!({"review": review, "standing": standing, "missing": missing, "gaps": opened.population.gaps}),
        )
    }

    async fn subjects(&self, review: &str, undecided: bool) -> anyhow::Result<()> {
        let (_, standing) = self.load(review).await?;
        let wanted = |line: &Line| !undecided || matches!(line.stage, Stage::Undecided | Stage::Proposed);
        for (subject, line) in standing.subjects().filter(|(_, line)| wanted(line)) {
            self.print(|| subject_line(subject, line), || json!({"subject": subject, "standing": line}))?;
        }
        Ok(())
    }

    async fn show_subject(&self, review: &str, subject: &str) -> anyhow::Result<()> {
        let (opened, standing) = self.load(review).await?;
        let (subject, line) = found(&standing, subject)?;
        let about = |entry: &&Entry| entry.act.subject() == Some(subject.id.as_str());
        let history: Vec<&Entry> = opened.log.iter().filter(about).collect();
        let text = || {
            let mut lines = vec![subject_line(subject, line)];
            lines.extend(subject.grants.iter().map(|grant| format!("    has {grant}")));
            lines.extend(line.left.iter().map(|left| format!("    left {left}")));
            lines.extend(history.iter().map(|entry| {
                let who = entry.by.as_ref().map_or("qtrail", |by| &by.who);
                format!("    {} {who}: {}", entry.at, json!(entry.act))
            }));
            lines.join("\n")
        };
        self.print(text, || json!({"subject": subject, "standing": line, "log": history}))
    }

    async fn decide(&self, decide: &DecideArgs) -> anyhow::Result<()> {
        let DecideArgs { review, verb, justification, ticket, .. } = decide;
        let (_, standing) = self.load(review).await?;
        let (subject, _) = found(&standing, &decide.subject)?;
        let grant = |text: &String| {
            let found = subject.grants.iter().find(|grant| grant.to_string() == *text).cloned();
            found.with_context(|| format!("it does not have {text}: qtrail review show {review} {}", subject.number))
        };
        let remove = decide.remove.iter().map(grant).collect::<anyhow::Result<_>>()?;
        let decision = Decision { verb: *verb, remove, justification: justification.clone(), ticket: ticket.clone() };
        self.reviews.decide(review, &self.asking, (&subject.id, &decision)).await?;
        output::note(&format!("{}: {verb}", subject.id));
        Ok(())
    }

    async fn sheet(&self, review: &str) -> anyhow::Result<()> {
        let (_, standing) = self.load(review).await?;
        let sheet = trail::review::sheet::out(&standing, &|_| String::new());
        Ok(std::io::stdout().lock().write_all(&sheet)?)
    }

    async fn propose(&self, review: &str, file: &std::path::Path) -> anyhow::Result<Ending> {
        let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        let (sheet, refused) = self.reviews.propose(review, &self.asking, &bytes).await?;
        for error in &sheet.errors {
            output::note(&format!("{}, {error}", file.display()));
        }
        for refusal in &refused {
            output::note(&refusal.to_string());
        }
        let wrong = sheet.errors.len() + refused.len();
        output::note(&format!(
            "{} proposals, {} rows without a decision, {wrong} with errors",
            sheet.proposals.len(),
            sheet.empty
        ));
        Ok(if wrong == 0 { Ending::Done } else { Ending::Unread })
    }

    async fn confirm(&self, review: &str, subjects: &[String]) -> anyhow::Result<()> {
        let (_, standing) = self.load(review).await?;
        let id = |subject: &String| found(&standing, subject).map(|(subject, _)| (subject.id.clone(), None));
        let ids = subjects.iter().map(id).collect::<anyhow::Result<Vec<_>>>()?;
        let confirmed = self.reviews.confirm(review, &self.asking, &ids).await?;
        output::note(&format!("{confirmed} confirmed"));
        Ok(())
    }
}

/// A subject by number or id.
fn found<'s>(standing: &'s Standing, subject: &str) -> anyhow::Result<(&'s Subject, &'s Line)> {
    let is = |known: &Subject| known.id == subject || subject.parse() == Ok(known.number);
    let mut subjects = standing.subjects();
    subjects.find(|(known, _)| is(known)).with_context(|| {
        format!("the review has no subject `{subject}`: `qtrail review subjects` lists them by number and id")
    })
}

/// How a review stands, for people.
pub(crate) fn summary(opened: &Opened, standing: &Standing, missing: &[String]) -> String {
    let progress = &standing.progress;
    let mut lines = vec![format!(
        "{}: {} of {} decided, due {}",
        opened.meta.period.id,
        progress.done(),
        progress.subjects,
        opened.meta.due.date()
    )];
    lines.extend(progress.remedies.iter().map(|(remedy, count)| format!("  {} {count}", word(&json!(remedy)))));
    lines.extend(missing.iter().map(|missing| format!("  missing: {missing}")));
    let gaps = opened.population.gaps.iter();
    lines.extend(gaps.map(|gap| format!("  not seen: {} {}: {}", gap.account, gap.what, gap.why)));
    let named = |id: &str| match standing.of_subject(id) {
        Some((subject, _)) => format!("{} in {}", subject.name, subject.account),
        None => "the whole review".to_owned(),
    };
    let exceptions = standing.exceptions.iter();
    lines.extend(
        exceptions.map(|e| format!("  exception: {}: {} (approved by {})", named(&e.subject), e.reason, e.approver)),
    );
    if let Some((at, by)) = &standing.signed_off {
        let who = by.as_ref().map_or("", |by| &by.who);
        lines.push(format!("  signed off {at} by {who}: {}", standing.statement));
    }
    lines.join("\n")
}

fn subject_line(subject: &Subject, line: &Line) -> String {
    let mark = if subject.privileged { " PRIVILEGED" } else { "" };
    let decision = line.decision.as_ref().map(|decision| format!(" {}", decision.verb)).unwrap_or_default();
    let remedy = if line.remedy == Remedy::None { String::new() } else { format!(", {}", word(&json!(line.remedy))) };
    let reviewer = if subject.reviewer.is_empty() { "nobody" } else { &subject.reviewer };
    let stage = word(&json!(line.stage));
    format!("{:>5} {}{mark}  {stage}{decision}{remedy}  (reviewer {reviewer})", subject.number, subject.id)
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}
