//! Lists of values.

use clap::builder::PossibleValue;
use toml::Value;

use super::{
    problem::Wrong,
    raw::{Raw, What},
    types::Type,
};

/// A list of these.
pub(super) struct ListOf<T> {
    item: T,
    most: usize,
    adds: bool,
}

impl<T: Type> ListOf<T> {
    /// The list of who is higher in precedence stands in the place of the other.
    pub(super) fn replacing(item: T, most: usize) -> Self {
        Self { item, most, adds: false }
    }

    /// The lists of all files, of the environment and of the command line add up.
    pub(super) fn adding(item: T) -> Self {
        Self { item, most: usize::MAX, adds: true }
    }
}

impl<T: Type> Type for ListOf<T> {
    type Out = Vec<T::Out>;

    fn rule(&self) -> String {
        let rule = self.item.rule();
        match self.most {
            usize::MAX => format!("a list, each {rule}"),
            most => format!("a list of at most {most}, each {rule}"),
        }
    }

    fn read(&self, raw: &Raw) -> Result<Self::Out, Vec<Wrong>> {
        let What::List(items) = &raw.what else { return Err(vec![Wrong::of(raw)]) };
        if items.len() > self.most {
            return Err(vec![Wrong::because(raw, format!("{} are more than {}", items.len(), self.most))]);
        }
        let (mut out, mut wrongs) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match self.item.read(item) {
                Ok(item) => out.push(item),
                Err(wrong) => wrongs.extend(wrong.into_iter().map(|wrong| wrong.part(&self.item.rule()))),
            }
        }
        if wrongs.is_empty() { Ok(out) } else { Err(wrongs) }
    }

    fn show(&self, out: &Self::Out) -> Value {
        Value::Array(out.iter().map(|item| self.item.show(item)).collect())
    }

    fn choices(&self) -> Vec<PossibleValue> {
        self.item.choices()
    }

    fn is_list(&self) -> bool {
        true
    }

    fn adds(&self) -> bool {
        self.adds
    }

    fn join(&self, mut before: Self::Out, after: Self::Out) -> Self::Out {
        before.extend(after);
        before
    }
}
