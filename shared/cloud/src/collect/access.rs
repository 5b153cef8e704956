//! What is asked for an access review: who there is in an account, and, once for all, in the organization and Identity
//! Center.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures::future::{join, join_all, join3};
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::Instant;
use trail::snapshot::{Answer, Cause, GLOBAL, Snapshot, VERSION};

use super::api::{self, Api};
use super::run::{Parameters, Run, body, cause_of, text};

/// How long a credential report is waited for. AWS makes one in seconds; where there are thousands of users, in minutes.
const REPORT: Duration = Duration::from_mins(2);

/// What is left for the last question when waiting is over.
const LAST_QUESTION: Duration = Duration::from_secs(10);

/// The first wait for a credential report, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// So many questions of a kind are asked at the same time. The time for a question runs from when it is begun, and these
/// services answer about twenty in a second: thousands that are begun together would wait for each other until it is over.
const AT_ONCE: usize = 5;

/// Units lie in each other five deep (Organizations, quotas).
const DEEPEST: usize = 8;

/// An instance of Identity Center, and who may tell about it.
struct Instance {
    arn: String,
    store: String,
    by: String,
    region: String,
}

impl Run<'_> {
    /// Who has access in the account; of the collector's own account, who has any in the organization.
    pub(super) async fn access(self, identity_center_region: &str) -> Snapshot {
        let described = self.ask(self.account, &api::DESCRIBE_ORGANIZATION, GLOBAL, &[]).await;
        let management = text(body(&described), "/Organization/MasterAccountId").to_owned();
        let is_home = self.account == self.collector.home();
        let shared = async {
            if !is_home {
                return Vec::new();
            }
            let (organization, directory) =
                join(self.units(), self.directory(&management, identity_center_region)).await;
            [organization, directory].concat()
        };
        let (principals, shared) = join(self.principals(), shared).await;
        let (account, taken) = (self.account.to_owned(), self.taken);
        let answers = self.sessions.answers().into_iter().chain([described]).chain(principals).chain(shared).collect();
        Snapshot { version: VERSION, account, taken, answers }
    }

    /// The principals of the account and their credentials.
    async fn principals(&self) -> Vec<Answer> {
        let once = join_all(api::OF_PRINCIPALS.map(|api| self.ask(self.account, api, GLOBAL, &[])));
        let (mut answers, report) = join(once, self.report()).await;
        // The report may be hours old, so it does not say who has keys by now.
        let users = texts(body(&answers[0]), "UserDetailList", "UserName");
        let keys = users
            .iter()
            .map(async |user| self.ask(self.account, &api::LIST_ACCESS_KEYS, GLOBAL, &[("UserName", user)]).await);
        answers.extend(in_turn(keys).await);
        answers.extend(report);
        answers
    }

    /// The credential report, once it is made. AWS starts to make one when it is asked to.
    async fn report(&self) -> Vec<Answer> {
        let until = self.end.checked_sub(LAST_QUESTION).unwrap_or(self.end).min(Instant::now() + REPORT);
        let mut wait = FIRST_WAIT;
        loop {
            let begun = self.ask(self.account, &api::GENERATE_CREDENTIAL_REPORT, GLOBAL, &[]).await;
            let is_begun = cause_of(&begun).is_none() && body(&begun)["State"] != "COMPLETE";
            let is_last = Instant::now() + wait >= until;
            if !is_begun || is_last {
                let report = self.ask(self.account, &api::GET_CREDENTIAL_REPORT, GLOBAL, &[]).await;
                if is_last || cause_of(&report) != Some(Cause::Late) {
                    return vec![begun, report];
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The organization's accounts and policies, and where each account and unit lies.
    async fn units(&self) -> Vec<Answer> {
        let mut answers = self.of_organization().await;
        let Some(listed) = answers.first().filter(|listed| cause_of(listed).is_none()) else { return answers };
        let by = listed.account.clone();
        let mut children: BTreeSet<String> = texts(body(listed), "Accounts", "Id").into_iter().collect();
        let mut seen = BTreeSet::new();
        for _ in 0..DEEPEST {
            let asked = children
                .iter()
                .map(async |child| self.ask(&by, &api::LIST_PARENTS, GLOBAL, &[("ChildId", child)]).await);
            let parents = in_turn(asked).await;
            seen.append(&mut children);
            let above = parents.iter().flat_map(|parent| texts(body(parent), "Parents", "Id"));
            children = above.filter(|id| id.starts_with("ou-") && !seen.contains(id)).collect();
            answers.extend(parents);
            if children.is_empty() {
                break;
            }
        }
        answers
    }

    /// Identity Center: asked of the management account, else of the collector's own, where that is a delegated
    /// administrator.
    async fn directory(&self, management: &str, region: &str) -> Vec<Answer> {
        let region = if region.is_empty() { &self.collector.client.endpoints.region } else { region };
        let mut answers = Vec::new();
        let candidates = BTreeSet::from([management, self.account]);
        let mut candidates: Vec<&str> = candidates.into_iter().filter(|account| !account.is_empty()).collect();
        candidates.sort_by_key(|account| *account != management);
        for by in candidates {
            let listed = self.ask(by, &api::LIST_INSTANCES, region, &[]).await;
            let instances = instances(&listed);
            answers.push(listed);
            if !instances.is_empty() {
                answers.extend(join_all(instances.iter().map(|instance| self.instance(instance))).await.concat());
                break;
            }
        }
        answers
    }

    /// Permission sets with their assignments, users, groups, and the members of the groups that something is given to.
    async fn instance(&self, instance: &Instance) -> Vec<Answer> {
        let store = [("IdentityStoreId", instance.store.as_str())];
        let (sets, users, groups) = join3(
            self.permission_sets(instance),
            self.of(instance, &api::LIST_USERS, &store),
            self.of(instance, &api::LIST_GROUPS, &store),
        )
        .await;
        let members = given_to(&sets)
            .into_iter()
            .map(async |group| self.of(instance, &api::LIST_MEMBERSHIPS, &[store[0], ("GroupId", &group)]).await);
        let members = in_turn(members).await;
        sets.into_iter().chain([users, groups]).chain(members).collect()
    }

    async fn permission_sets(&self, instance: &Instance) -> Vec<Answer> {
        let arn = [("InstanceArn", instance.arn.as_str())];
        let listed = self.of(instance, &api::LIST_PERMISSION_SETS, &arn).await;
        let sets: Vec<String> = all_texts(body(&listed), "PermissionSets");
        let about = in_turn(sets.iter().map(|set| self.permission_set(instance, set))).await;
        about.into_iter().flatten().chain([listed]).collect()
    }

    /// What a permission set gives, and to whom in which accounts.
    async fn permission_set(&self, instance: &Instance, set: &str) -> Vec<Answer> {
        let about = [("InstanceArn", instance.arn.as_str()), ("PermissionSetArn", set)];
        let told = join_all(api::OF_PERMISSION_SETS.map(|api| self.of(instance, api, &about)));
        let (told, provisioned) = join(told, self.of(instance, &api::LIST_PROVISIONED_ACCOUNTS, &about)).await;
        let accounts: Vec<String> = all_texts(body(&provisioned), "AccountIds");
        let assigned = accounts.iter().map(async |account| {
            self.of(instance, &api::LIST_ASSIGNMENTS, &[about[0], about[1], ("AccountId", account)]).await
        });
        let assigned = in_turn(assigned).await;
        told.into_iter().chain([provisioned]).chain(assigned).collect()
    }

    async fn of(&self, instance: &Instance, api: &'static Api, parameters: Parameters<'_>) -> Answer {
        self.ask(&instance.by, api, &instance.region, parameters).await
    }
}

/// A few at a time, the answers in the order of the questions.
async fn in_turn<F: Future>(asked: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

fn instances(listed: &Answer) -> Vec<Instance> {
    let read = |instance: &Value| {
        let text = |name: &str| instance[name].as_str().map(str::to_owned);
        let (by, region) = (listed.account.clone(), listed.region.clone());
        Some(Instance { arn: text("InstanceArn")?, store: text("IdentityStoreId")?, by, region })
    };
    body(listed)["Instances"].as_array().into_iter().flatten().filter_map(read).collect()
}

/// The ids of the groups that something is given to.
fn given_to(answers: &[Answer]) -> BTreeSet<String> {
    let assigned =
        answers.iter().flat_map(|answer| body(answer)["AccountAssignments"].as_array().into_iter().flatten());
    let groups = assigned.filter(|assignment| assignment["PrincipalType"] == "GROUP");
    groups.filter_map(|assignment| assignment["PrincipalId"].as_str().map(str::to_owned)).collect()
}

/// The member of this name of each item in a list.
fn texts(body: &Value, list: &str, name: &str) -> Vec<String> {
    let items = body[list].as_array().into_iter().flatten();
    items.filter_map(|item| item[name].as_str().map(str::to_owned)).collect()
}

/// The texts in a list.
fn all_texts(body: &Value, list: &str) -> Vec<String> {
    let items = body[list].as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
