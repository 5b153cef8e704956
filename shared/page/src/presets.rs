//! The questions that are asked in an incident, ready to be asked.

use lake::questions::Question;

use crate::address::{Address, Span};

/// The address that asks a question, for a span.
pub(crate) fn href(question: &Question, span: &Span) -> String {
    Address { span: span.clone(), ..Address::of(pairs(question)) }.href()
}

/// What stands of it and the span, for a form that adds what is filled in.
pub(crate) fn kept(question: &Question, span: &Span) -> Vec<(String, String)> {
    Address { span: span.clone(), ..Address::of(pairs(question)) }.pairs()
}

/// Both what writes and what reads, where it says nothing of it.
fn pairs(question: &Question) -> impl Iterator<Item = (String, String)> {
    let all = question.filters.iter().all(|(name, _)| *name != "writes").then_some(("writes", "all"));
    let filters = question.filters.iter().copied().chain(all);
    filters.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use lake::questions::{ALL, example};

    use super::*;

    #[test]
    fn each_question_can_be_asked() {
        assert_eq!(ALL.len(), 25);
        for question in &ALL {
            let mut pairs = kept(question, &Span::Last(3));
            pairs.extend(question.asks.iter().map(|(name, _)| ((*name).to_owned(), example(name).to_owned())));
            Address::of(pairs).query((None, None)).expect(question.title);
        }
        let by_key = ALL.iter().find(|question| question.asks.iter().any(|(name, _)| *name == "access-key"));
        assert_eq!(href(by_key.expect("a question"), &Span::Last(4)), "/records?t=7d&writes=all");
    }
}
