//! Sets of texts that patterns describe: what two statements have in common, and whether one leaves anything over.
//!
//! "May anything be deleted?" is a question about all actions that `s3:Delete*` stands for, and "on which resource?" one
//! about all names there are. Both come down to whether some text fits several patterns and none of some others.

use std::collections::HashSet;
use std::rc::Rc;

/// A text with wildcards, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    /// This letter.
    Is(char),
    /// `?`.
    One,
    /// `*`.
    Star,
}

/// What is known of a policy variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Its value.
    Is(String),
    /// It has none for this principal: what names it fits nothing.
    Unset,
    /// It is known to begin so.
    Begins(String),
    /// It has a value that is not known here.
    Unknown,
}

/// A resource as a statement names it, its variables replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// What it fits; a variable that is not known stands for anything.
    pub(crate) pattern: Pattern,
    /// The variables that are not known.
    pub(crate) unknown: Vec<String>,
    /// Whether a variable has no value.
    pub(crate) is_unset: bool,
}

impl Pattern {
    /// An action, in which letters have either case.
    pub(crate) fn action(text: &str) -> Self {
        Self(tokens(&text.to_lowercase()))
    }

    /// A text as it stands, wildcards included.
    pub(crate) fn plain(text: &str) -> Self {
        Self(tokens(text))
    }

    /// A resource, whose variables are looked up. Letters have the case that they have.
    pub(crate) fn resource(text: &str, look_up: &dyn Fn(&str) -> Variable) -> Resource {
        let mut read = Resource { pattern: Self(Vec::new()), unknown: Vec::new(), is_unset: false };
        let mut rest = text;
        while let Some((before, name, after)) = variable(rest) {
            read.pattern.0.extend(tokens(before));
            read.put(name, look_up);
            rest = after;
        }
        read.pattern.0.extend(tokens(rest));
        read
    }

    /// Whether it fits every text.
    pub(crate) fn is_anything(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|token| *token == Token::Star)
    }

    /// Whether it fits one text alone.
    pub(crate) fn is_literal(&self) -> bool {
        self.0.iter().all(|token| matches!(token, Token::Is(_)))
    }

    /// Whether it fits the one text that a literal is; as [`covers`](super::covers) does it.
    fn fits(&self, literal: &Self) -> bool {
        let (mut p, mut t) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while t < literal.0.len() {
            match self.0.get(p) {
                Some(Token::Star) => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(token) if *token == Token::One || *token == literal.0[t] => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((after_star, from)) = retry else { return false };
                    retry = Some((after_star, from + 1));
                    (p, t) = (after_star, from + 1);
                }
            }
        }
        self.0.iter().skip(p).all(|rest| *rest == Token::Star)
    }
}

impl Resource {
    fn put(&mut self, name: &str, look_up: &dyn Fn(&str) -> Variable) {
        let (name, default) = name.split_once(',').map_or((name, None), |(name, default)| (name, Some(default)));
        let literal = |text: &str| text.chars().map(Token::Is).collect::<Vec<_>>();
        let value = match name.trim() {
            escaped @ ("*" | "?" | "$") => Variable::Is(escaped.to_owned()),
            name => look_up(name),
        };
        match (value, default) {
            (Variable::Is(value), _) => self.pattern.0.extend(literal(&value)),
            (Variable::Unset, Some(default)) => self.pattern.0.extend(literal(default.trim().trim_matches('\''))),
            (Variable::Unset, None) => {
                self.is_unset = true;
                self.pattern.0.push(Token::Star);
            }
            (Variable::Begins(start), _) => {
                self.pattern.0.extend(literal(&start));
                self.pattern.0.push(Token::Star);
                self.unknown.push(name.to_owned());
            }
            (Variable::Unknown, _) => {
                self.pattern.0.push(Token::Star);
                self.unknown.push(name.to_owned());
            }
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let token = |letter| match letter {
        '*' => Token::Star,
        '?' => Token::One,
        letter => Token::Is(letter),
    };
    text.chars().map(token).collect()
}

/// What comes before the first `${…}`, what stands in it, and what comes after it.
fn variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// All texts that fit one pattern of each of some lists, and no pattern of some others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    each: Vec<Rc<[Pattern]>>,
    none: Vec<Rc<[Pattern]>>,
}

/// Combinations of places in patterns that are looked at before it is unclear whether some text fits.
const STATES: usize = 4096;

impl Texts {
    /// Those that fit one of the patterns as well.
    pub(crate) fn and(&self, patterns: &Rc<[Pattern]>) -> Self {
        let mut narrower = self.clone();
        let is_known = self.each.iter().any(|known| Rc::ptr_eq(known, patterns));
        if !is_known && !patterns.iter().any(Pattern::is_anything) {
            narrower.each.push(Rc::clone(patterns));
        }
        narrower
    }

    /// Those that fit none of the patterns besides.
    pub(crate) fn without(&self, patterns: &Rc<[Pattern]>) -> Self {
        let mut narrower = self.clone();
        if !patterns.is_empty() {
            narrower.none.push(Rc::clone(patterns));
        }
        narrower
    }

    /// Whether there are none; `if_unclear` where that cannot be told with little work.
    pub(crate) fn is_empty(&self, if_unclear: bool) -> bool {
        if self.none.iter().flat_map(|patterns| patterns.iter()).any(Pattern::is_anything) {
            return true;
        }
        let literals = self.each.iter().find(|patterns| patterns.iter().all(Pattern::is_literal));
        match (literals, &self.each[..], &self.none[..]) {
            (Some(literals), _, _) => !literals.iter().any(|literal| self.holds(literal)),
            // Any pattern fits something.
            (None, [] | [_], []) => false,
            (None, [], none) => !Search::new(&[], none).finds_one().unwrap_or(!if_unclear),
            (None, [first, others @ ..], none) => {
                let one = |pattern| {
                    let lists = std::iter::once(std::slice::from_ref(pattern));
                    let lists: Vec<&[Pattern]> = lists.chain(others.iter().map(|patterns| &**patterns)).collect();
                    Search::new(&lists, none).finds_one()
                };
                !first.iter().map(one).any(|found| found.unwrap_or(!if_unclear))
            }
        }
    }

    /// Whether a text is among them.
    fn holds(&self, literal: &Pattern) -> bool {
        let fits = |patterns: &Rc<[Pattern]>| patterns.iter().any(|pattern| pattern.fits(literal));
        self.each.iter().all(fits) && !self.none.iter().any(fits)
    }
}

/// A place in a pattern: which list, which pattern of all, how far.
type Place = (usize, usize, usize);

/// Looks for a text letter by letter, at the same time in all patterns.
struct Search<'t> {
    patterns: Vec<(usize, &'t Pattern)>,
    /// How many lists there are of which one pattern has to fit; those behind must not.
    wanted: usize,
}

impl<'t> Search<'t> {
    fn new(each: &[&'t [Pattern]], none: &'t [Rc<[Pattern]>]) -> Self {
        let lists = each.iter().copied().chain(none.iter().map(|patterns| &**patterns)).enumerate();
        let patterns = lists.flat_map(|(list, patterns)| patterns.iter().map(move |pattern| (list, pattern)));
        Self { patterns: patterns.collect(), wanted: each.len() }
    }

    /// Whether there is one. `None`: it would take too long to tell.
    fn finds_one(&self) -> Option<bool> {
        let starts = self.patterns.iter().enumerate().map(|(i, (list, _))| (*list, i, 0));
        let mut waiting = vec![self.closed(starts.collect())];
        let mut seen: HashSet<Vec<Place>> = waiting.iter().cloned().collect();
        while let Some(places) = waiting.pop() {
            if self.is_text(&places) {
                return Some(true);
            }
            if seen.len() > STATES {
                return None;
            }
            for letter in self.letters(&places) {
                let next = self.after(&places, letter);
                if self.is_alive(&next) && seen.insert(next.clone()) {
                    waiting.push(next);
                }
            }
        }
        Some(false)
    }

    /// Letters after which things differ, and one that no pattern names.
    fn letters(&self, places: &[Place]) -> Vec<Option<char>> {
        let named = places.iter().filter_map(|place| match self.token(*place) {
            Some(Token::Is(letter)) => Some(Some(letter)),
            _ => None,
        });
        let mut letters: Vec<Option<char>> = named.chain([None]).collect();
        letters.sort_unstable();
        letters.dedup();
        letters
    }

    fn token(&self, (_, pattern, at): Place) -> Option<Token> {
        self.patterns.get(pattern).and_then(|(_, pattern)| pattern.0.get(at)).copied()
    }

    fn after(&self, places: &[Place], letter: Option<char>) -> Vec<Place> {
        let moved = places.iter().filter_map(|&(list, pattern, at)| match self.token((list, pattern, at))? {
            Token::Star => Some((list, pattern, at)),
            Token::One => Some((list, pattern, at + 1)),
            Token::Is(wanted) => (Some(wanted) == letter).then_some((list, pattern, at + 1)),
        });
        self.closed(moved.collect())
    }

    /// A star may stand for nothing.
    fn closed(&self, mut places: Vec<Place>) -> Vec<Place> {
        let mut next = 0;
        while let Some(&(list, pattern, at)) = places.get(next) {
            if self.token((list, pattern, at)) == Some(Token::Star) {
                places.push((list, pattern, at + 1));
            }
            next += 1;
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn is_alive(&self, places: &[Place]) -> bool {
        (0..self.wanted).all(|list| places.iter().any(|place| place.0 == list))
    }

    fn is_text(&self, places: &[Place]) -> bool {
        let ended = |list| places.iter().any(|place| place.0 == list && self.token(*place).is_none());
        let lists = self.patterns.last().map_or(0, |(list, _)| list + 1);
        (0..self.wanted).all(ended) && !(self.wanted..lists).any(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(patterns: &[&str]) -> Rc<[Pattern]> {
        patterns.iter().map(|text| Pattern(tokens(text))).collect()
    }

    fn is_empty(each: &[&[&str]], none: &[&[&str]]) -> bool {
        let texts = each.iter().fold(Texts::default(), |texts, patterns| texts.and(&list(patterns)));
        let texts = none.iter().fold(texts, |texts, patterns| texts.without(&list(patterns)));
        assert_eq!(texts.is_empty(true), texts.is_empty(false), "what is this short is clear");
        texts.is_empty(true)
    }

    #[test]
    fn what_takes_too_long_is_as_whoever_asks_wants_it() {
        let far = format!("a{}", "?".repeat(14));
        let (texts, same) = (Texts::default().and(&list(&[&format!("*{far}")])), list(&[&format!("**{far}")]));
        assert!(!texts.is_empty(true));
        assert!(texts.without(&same).is_empty(true));
        assert!(!texts.without(&same).is_empty(false));
    }

    #[test]
    fn what_patterns_have_in_common() {
        assert!(!is_empty(&[&["s3:Delete*"], &["s3:*Object"]], &[]));
        assert!(is_empty(&[&["s3:Delete*"], &["s3:Get*", "ec2:*"]], &[]));
        assert!(is_empty(&[&["s3:Delete*"]], &[&["s3:*"]]));
        assert!(is_empty(&[&["s3:Delete*"]], &[&["s3:D*"], &["x"]]));
        assert!(!is_empty(&[&["s3:*"]], &[&["s3:Delete*"]]));
        assert!(is_empty(&[&["a?"]], &[&["??"]]));
        assert!(!is_empty(&[&["a*"]], &[&["a?", "a"]]));
        // What no two of them do alone, all together may.
        assert!(is_empty(&[&["a*"]], &[&["a", "a?*"]]));
        assert!(is_empty(&[&[]], &[]));
        assert!(!is_empty(&[], &[]));
        assert!(is_empty(&[&["a"]], &[&["*"]]));
    }

    #[test]
    fn variables_in_resources() {
        let look_up = |name: &str| match name {
            "aws:username" => Variable::Is("al*ce".to_owned()),
            "aws:userid" => Variable::Begins("AROA:".to_owned()),
            "aws:PrincipalTag/team" => Variable::Unset,
            _ => Variable::Unknown,
        };
        let fits = |text: &str, name: &str| {
            let resource = Pattern::resource(text, &look_up);
            (
                resource.pattern.fits(&Pattern(name.chars().map(Token::Is).collect())),
                resource.unknown.len(),
                resource.is_unset,
            )
        };
        assert_eq!(fits("home/${aws:username}/*", "home/al*ce/x"), (true, 0, false));
        assert_eq!(fits("home/${aws:username}/*", "home/alice/x"), (false, 0, false), "a value has no wildcards");
        assert_eq!(fits("${aws:userid}", "AROA:alice"), (true, 1, false));
        assert_eq!(fits("${aws:PrincipalTag/team, 'none'}/x", "none/x"), (true, 0, false));
        assert_eq!(fits("${aws:PrincipalTag/team}/x", "none/x"), (true, 0, true));
        assert_eq!(fits("${*}${?}${$}", "*?$"), (true, 0, false));
        assert_eq!(fits("${s3:prefix}-a", "anything-a"), (true, 1, false));
        assert_eq!(fits("${cut", "${cut"), (true, 0, false));
        assert_eq!(fits("Home", "home"), (false, 0, false));
    }

    /// All texts of up to four letters over three.
    fn short_texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut from = 0;
        for _ in 0..4 {
            let to = texts.len();
            for i in from..to {
                ["a", "b", "c"].iter().for_each(|letter| texts.push(format!("{}{letter}", texts[i])));
            }
            from = to;
        }
        texts
    }

    fn as_str(lists: &[Vec<String>]) -> Vec<Vec<&str>> {
        lists.iter().map(|patterns| patterns.iter().map(String::as_str).collect()).collect()
    }

    proptest! {
        /// Patterns this short that have a text in common have a short one; `c` is the letter that none of them names.
        #[test]
        fn agrees_with_trying_all_short_texts(
            each in prop::collection::vec(prop::collection::vec("[ab*?]{0,3}", 0..3), 0..3),
            none in prop::collection::vec(prop::collection::vec("[ab*?]{1,3}", 0..3), 0..2),
        ) {
            let fits = |patterns: &Vec<String>, text: &str| patterns.iter().any(|p| super::super::covers(p, text));
            let is_among =
                |text: &&String| each.iter().all(|p| fits(p, text)) && !none.iter().any(|p| fits(p, text));
            let texts = short_texts();
            let expected = texts.iter().find(is_among);
            let (each, none) = (as_str(&each), as_str(&none));
            let each: Vec<&[&str]> = each.iter().map(Vec::as_slice).collect();
            let none: Vec<&[&str]> = none.iter().map(Vec::as_slice).collect();
            let found = !is_empty(&each, &none);
            prop_assert!(found || expected.is_none(), "{expected:?} was not found");
            // A text may have to be longer than those tried.
            if found && expected.is_none() {
                let long: usize = each.iter().chain(&none).flat_map(|p| p.iter()).map(|p| p.len()).sum();
                prop_assert!(long > 4, "there is none");
            }
        }
    }
}
