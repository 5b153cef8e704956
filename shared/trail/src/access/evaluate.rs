//! How AWS evaluates policies, as far as it can be told without the request.
//!
//! What is allowed is what an identity policy, the permissions boundary and each level of service control policies
//! allow, without what any of them denies (IAM user guide, policy evaluation logic). What is not known (a condition, a
//! variable, a document) is taken once in favour and once against: the first gives everybody who may be allowed, the
//! second those who are for certain.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::Given;
use crate::policy::pattern::{Pattern, Resource, Texts, Variable};
use crate::policy::{Policy, Statement};

/// How a variable of a policy is looked up.
pub(super) type LookUp<'l> = &'l dyn Fn(&str) -> Variable;

/// What is not known, in favour of the principal or against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknowns {
    /// Conditions of what allows hold, those of what denies do not.
    InFavour,
    /// The other way round.
    Against,
}

/// A policy that counts for a principal, brought down to what concerns the question.
pub(super) struct Held<'a> {
    /// The ARN or name of the policy.
    pub(super) name: Cow<'a, str>,
    /// The group or permission set that it comes through; empty for none.
    pub(super) via: Cow<'a, str>,
    clauses: Rc<[Clause<'a>]>,
}

/// All that counts for a principal.
#[derive(Default)]
pub(super) struct Standing<'a> {
    /// Its own policies and those of its groups: any of them may allow.
    pub(super) identity: Vec<Held<'a>>,
    /// The boundary and each level of service control policies: each of them has to allow.
    pub(super) limits: Vec<Vec<Held<'a>>>,
}

/// A statement that concerns the question.
pub(super) struct Clause<'a> {
    /// Its number in its policy, from 1; 0 where the policy was not told.
    pub(super) number: usize,
    /// The statement, unless it was not told.
    pub(super) statement: Option<&'a Statement>,
    actions: Part,
    resources: Part,
}

/// The actions or resources of a statement.
#[derive(Clone)]
struct Part {
    is_all_but: bool,
    /// With unknown variables against, and in favour.
    narrow: Rc<[Pattern]>,
    wide: Rc<[Pattern]>,
    /// The variables that are not known.
    unknown: Vec<String>,
}

/// Actions on resources that are allowed by one statement and whatever limits it.
#[derive(Clone)]
pub(super) struct Region<'a> {
    actions: Texts,
    resources: Texts,
    /// Which policy of the identity allows it, and which of its clauses.
    pub(super) by: (usize, usize),
    /// Condition keys and variables that were not evaluated.
    pub(super) unknown: BTreeSet<String>,
    /// Whether the document of a policy that is needed for it was not told.
    pub(super) is_untold: bool,
    /// The statements whose resources it lies within, those for all resources aside.
    pub(super) within: Vec<&'a Statement>,
}

/// Regions that are told apart; beyond them what limits is left out, in favour of the principal.
const REGIONS: usize = 256;

/// What is asked about, and what was read of policies for it.
pub(super) struct Evaluator<'a> {
    action: Pattern,
    actions: Texts,
    resources: Texts,
    read: HashMap<*const Policy, Read<'a>>,
}

/// What concerns the question in a policy.
#[derive(Clone)]
enum Read<'a> {
    /// The same for everybody.
    Same(Rc<[Clause<'a>]>),
    /// It has variables: the numbers of its statements.
    Varying(Rc<[usize]>),
}

impl<'a> Evaluator<'a> {
    /// For an action and a resource, either of which may have wildcards.
    pub(super) fn new(action: &str, resource: Option<&str>) -> Self {
        let action = Pattern::action(action);
        let alone = |pattern: Pattern| Texts::default().and(&Rc::from([pattern]));
        Self {
            actions: alone(action.clone()),
            resources: resource.map(|resource| alone(Pattern::plain(resource))).unwrap_or_default(),
            action,
            read: HashMap::new(),
        }
    }

    /// A policy as it concerns the question.
    pub(super) fn held(&mut self, given: &'a Given, via: impl Into<Cow<'a, str>>, look_up: LookUp<'_>) -> Held<'a> {
        self.document(&given.name, given.document.as_ref(), look_up).through(via)
    }

    /// A policy by its name.
    pub(super) fn document(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        document: Option<&'a Arc<Policy>>,
        look_up: LookUp<'_>,
    ) -> Held<'a> {
        let clauses = document.map_or_else(|| Rc::from([Clause::untold()]), |policy| self.clauses(policy, look_up));
        Held { name: name.into(), via: Cow::Borrowed(""), clauses }
    }

    /// A policy is read once for everybody who has it, as far as it is the same for everybody.
    fn clauses(&mut self, policy: &'a Arc<Policy>, look_up: LookUp<'_>) -> Rc<[Clause<'a>]> {
        let known = self.read.get(&Arc::as_ptr(policy)).cloned();
        let read = known.unwrap_or_else(|| {
            let read = self.relevant(policy);
            self.read.insert(Arc::as_ptr(policy), read.clone());
            read
        });
        match read {
            Read::Same(clauses) => clauses,
            Read::Varying(places) => {
                places.iter().filter_map(|place| self.clause(*place, policy.statements.get(*place)?, look_up)).collect()
            }
        }
    }

    fn relevant(&self, policy: &'a Policy) -> Read<'a> {
        let numbered = policy.statements.iter().enumerate();
        let relevant: Vec<(usize, &Statement)> =
            numbered.filter(|(_, statement)| self.actions(statement).is_some()).collect();
        let varies = |statement: &Statement| {
            statement.resources.iter().chain(&statement.not_resources).any(|resource| resource.contains("${"))
        };
        if relevant.iter().any(|(_, statement)| varies(statement)) {
            return Read::Varying(relevant.into_iter().map(|(place, _)| place).collect());
        }
        let clause = |(place, statement)| self.clause(place, statement, &|_| Variable::Unknown);
        Read::Same(relevant.into_iter().filter_map(clause).collect())
    }

    fn clause(&self, place: usize, statement: &'a Statement, look_up: LookUp<'_>) -> Option<Clause<'a>> {
        let actions = self.actions(statement)?;
        Some(Clause {
            number: place + 1,
            statement: Some(statement),
            actions,
            resources: resources(statement, look_up),
        })
    }

    /// The actions of a statement, if any of them is asked about.
    fn actions(&self, statement: &Statement) -> Option<Part> {
        let is_all_but = statement.actions.is_empty();
        let named = if is_all_but { &statement.not_actions } else { &statement.actions };
        let concerning: Vec<Pattern> = named
            .iter()
            .map(|action| Pattern::action(action))
            .filter(|pattern| {
                let common = self.actions.and(&Rc::from([pattern.clone()]));
                !common.is_empty(false)
            })
            .collect();
        // A statement that names neither says nothing.
        let says_nothing = is_all_but && statement.not_actions.is_empty();
        let part = match (is_all_but, concerning.is_empty(), self.action.is_literal()) {
            _ if says_nothing => return None,
            (false, true, _) | (true, false, true) => return None,
            (true, true, _) | (false, false, true) => Part::everything(),
            (_, false, false) => Part::new(is_all_but, concerning),
        };
        (!part.narrowed(&self.actions, true).is_empty(false)).then_some(part)
    }

    /// What a principal is allowed of what is asked about.
    pub(super) fn allowed(&self, standing: &Standing<'a>, unknowns: Unknowns) -> Vec<Region<'a>> {
        let asked = Region {
            actions: self.actions.clone(),
            resources: self.resources.clone(),
            by: (0, 0),
            unknown: BTreeSet::new(),
            is_untold: false,
            within: Vec::new(),
        };
        let mut regions = Vec::new();
        for (policy, held) in standing.identity.iter().enumerate() {
            for (place, clause) in held.clauses.iter().enumerate().filter(|(_, clause)| clause.allows()) {
                regions.extend(asked.within(clause, unknowns).map(|region| Region { by: (policy, place), ..region }));
            }
        }
        for limit in &standing.limits {
            regions = limited(regions, limit, unknowns);
        }
        let denials: Vec<&Clause<'a>> = standing.denials().map(|(_, clause)| clause).collect();
        // What one denial leaves over may lie wholly within another.
        for denial in denials.iter().chain(&denials) {
            regions = regions.into_iter().filter_map(|region| region.minus(denial, unknowns)).collect();
        }
        regions
    }
}

/// What of the regions a limit allows, too.
fn limited<'a>(regions: Vec<Region<'a>>, limit: &[Held<'a>], unknowns: Unknowns) -> Vec<Region<'a>> {
    let clauses: Vec<&Clause<'a>> = limit.iter().flat_map(Held::clauses).filter(|clause| clause.allows()).collect();
    if clauses.iter().any(|clause| clause.is_everything()) {
        return regions;
    }
    let is_much = regions.len().saturating_mul(clauses.len()) > REGIONS;
    let mut within = Vec::new();
    for region in regions {
        let mut some = clauses.iter().filter_map(|clause| region.within(clause, unknowns));
        match unknowns {
            // Whether anything is left is told, what exactly is not.
            Unknowns::InFavour if is_much => within.extend(some.next().map(|_| region.clone())),
            Unknowns::Against if is_much => within.extend(some.next()),
            _ => within.extend(some),
        }
    }
    within
}

impl<'a> Standing<'a> {
    /// Everything that denies, with its policy.
    pub(super) fn denials(&self) -> impl Iterator<Item = (&Held<'a>, &Clause<'a>)> {
        let all = self.identity.iter().chain(self.limits.iter().flatten());
        all.flat_map(|held| held.clauses().filter(|clause| !clause.allows()).map(move |clause| (held, clause)))
    }
}

impl<'a> Held<'a> {
    /// The same through a group or a permission set.
    pub(super) fn through(self, via: impl Into<Cow<'a, str>>) -> Self {
        Self { via: via.into(), ..self }
    }

    /// Its clauses.
    pub(super) fn clauses(&self) -> impl Iterator<Item = &Clause<'a>> {
        self.clauses.iter()
    }

    /// One of them.
    pub(super) fn clause(&self, place: usize) -> Option<&Clause<'a>> {
        self.clauses.get(place)
    }

    /// Whether its document was not told.
    pub(super) fn is_untold(&self) -> bool {
        self.clauses.iter().any(|clause| clause.statement.is_none())
    }
}

impl Clause<'_> {
    /// What a policy that was not told may say.
    fn untold() -> Self {
        Self { number: 0, statement: None, actions: Part::everything(), resources: Part::everything() }
    }

    fn allows(&self) -> bool {
        self.statement.is_none_or(|statement| statement.allow)
    }

    /// Whether it says the same whatever is not known.
    fn is_certain(&self) -> bool {
        self.statement.is_some_and(|statement| statement.conditions.is_empty()) && self.resources.unknown.is_empty()
    }

    fn is_everything(&self) -> bool {
        self.is_certain() && self.actions.is_everything() && self.resources.is_everything()
    }

    /// The condition keys and variables that are not evaluated.
    pub(super) fn unknown(&self) -> BTreeSet<String> {
        let conditions = self.statement.into_iter().flat_map(|statement| &statement.conditions);
        conditions.map(|condition| condition.key.clone()).chain(self.resources.unknown.iter().cloned()).collect()
    }

    /// Whether it is read as wide as may be: what allows in favour, what denies against.
    fn is_wide(&self, unknowns: Unknowns) -> bool {
        self.allows() == (unknowns == Unknowns::InFavour)
    }

    /// Whether it counts: read narrowly, what hangs on a condition does not.
    fn counts(&self, unknowns: Unknowns) -> bool {
        let is_unconditional = self.statement.is_some_and(|statement| statement.conditions.is_empty());
        self.is_wide(unknowns) || is_unconditional
    }
}

impl<'a> Region<'a> {
    /// What of it a clause allows.
    fn within(&self, clause: &Clause<'a>, unknowns: Unknowns) -> Option<Self> {
        self.common(clause, unknowns, unknowns == Unknowns::Against)
    }

    /// What of it a clause is about: nothing, `if_unclear`.
    fn common(&self, clause: &Clause<'a>, unknowns: Unknowns, if_unclear: bool) -> Option<Self> {
        let is_wide = clause.is_wide(unknowns);
        let actions = clause.actions.narrowed(&self.actions, is_wide);
        let resources = clause.resources.narrowed(&self.resources, is_wide);
        if !clause.counts(unknowns) || actions.is_empty(if_unclear) || resources.is_empty(if_unclear) {
            return None;
        }
        let mut within = self.within.clone();
        within.extend(clause.statement.filter(|_| !clause.resources.is_everything()));
        let unknown = self.unknown.union(&clause.unknown()).cloned().collect();
        let is_untold = self.is_untold || clause.statement.is_none();
        Some(Self { actions, resources, unknown, is_untold, within, by: self.by })
    }

    /// Whether a denial that hangs on something unknown may take some of it.
    pub(super) fn may_be_stopped(&self, denial: &Clause<'a>) -> bool {
        !denial.is_certain() && self.common(denial, Unknowns::Against, false).is_some()
    }

    /// What a denial leaves of it. Where that is not all actions on some resources, nor some actions on all of them,
    /// too much is left in favour, too little against.
    fn minus(self, denial: &Clause<'a>, unknowns: Unknowns) -> Option<Self> {
        if self.common(denial, unknowns, false).is_none() {
            return Some(self);
        }
        let is_wide = denial.is_wide(unknowns);
        let actions = denial.actions.removed(&self.actions, is_wide);
        let resources = denial.resources.removed(&self.resources, is_wide);
        let if_unclear = unknowns == Unknowns::Against;
        match (actions.is_empty(if_unclear), resources.is_empty(if_unclear), unknowns) {
            (true, true, _) => None,
            (false, true, _) | (false, false, Unknowns::Against) => Some(Self { actions, ..self }),
            (true, false, _) => Some(Self { resources, ..self }),
            (false, false, Unknowns::InFavour) => Some(self),
        }
    }
}

impl Part {
    fn new(is_all_but: bool, patterns: Vec<Pattern>) -> Self {
        let patterns: Rc<[Pattern]> = patterns.into();
        Self { is_all_but, narrow: Rc::clone(&patterns), wide: patterns, unknown: Vec::new() }
    }

    fn everything() -> Self {
        Self::new(true, Vec::new())
    }

    fn is_everything(&self) -> bool {
        if self.is_all_but { self.narrow.is_empty() } else { self.narrow.iter().any(Pattern::is_anything) }
    }

    fn patterns(&self, is_wide: bool) -> &Rc<[Pattern]> {
        if is_wide { &self.wide } else { &self.narrow }
    }

    /// Those of some texts that it names.
    fn narrowed(&self, texts: &Texts, is_wide: bool) -> Texts {
        let patterns = self.patterns(is_wide);
        if self.is_all_but { texts.without(patterns) } else { texts.and(patterns) }
    }

    /// Those of some texts that it does not name.
    fn removed(&self, texts: &Texts, is_wide: bool) -> Texts {
        let patterns = self.patterns(is_wide);
        if self.is_all_but { texts.and(patterns) } else { texts.without(patterns) }
    }
}

/// The resources of a statement. One that names none allows on all and denies on none: AWS takes no such statement.
fn resources(statement: &Statement, look_up: LookUp<'_>) -> Part {
    let is_all_but = statement.resources.is_empty() && (statement.allow || !statement.not_resources.is_empty());
    let named = if is_all_but { &statement.not_resources } else { &statement.resources };
    let read: Vec<Resource> = named.iter().map(|text| Pattern::resource(text, look_up)).collect();
    let is_known = |resource: &&Resource| resource.unknown.is_empty() && !resource.is_unset;
    let known: Rc<[Pattern]> = read.iter().filter(is_known).map(|resource| resource.pattern.clone()).collect();
    // A name with a variable that has no value fits nothing; that it excepts nothing either is not relied on.
    let may_fit = |resource: &&Resource| is_all_but || !resource.is_unset;
    let all: Rc<[Pattern]> = read.iter().filter(may_fit).map(|resource| resource.pattern.clone()).collect();
    let (narrow, wide) = if is_all_but { (all, known) } else { (known, all) };
    let unset = read.iter().filter(|resource| is_all_but && resource.is_unset).map(|_| "a variable".to_owned());
    let unknown = read.iter().flat_map(|resource| resource.unknown.iter().cloned()).chain(unset).collect();
    Part { is_all_but, narrow, wide, unknown }
}
