//! Condition expressions, and the attribute values in them and in items.

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Item;

/// A DynamoDB condition expression with its names and values. Also carries the values of an update expression.
#[derive(Default)]
pub(crate) struct Condition<'a> {
    pub(crate) text: &'a str,
    names: Vec<(&'a str, &'a str)>,
    values: Vec<(&'a str, AttributeValue)>,
}

impl<'a> Condition<'a> {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }

    pub(crate) fn name(mut self, placeholder: &'a str, name: &'a str) -> Self {
        self.names.push((placeholder, name));
        self
    }

    pub(crate) fn value(mut self, placeholder: &'a str, value: AttributeValue) -> Self {
        self.values.push((placeholder, value));
        self
    }

    pub(crate) fn all(mut self, values: Vec<(&'a str, AttributeValue)>) -> Self {
        self.values.extend(values);
        self
    }

    pub(crate) fn expression(&self) -> Option<String> {
        (!self.text.is_empty()).then(|| self.text.to_owned())
    }

    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        let map: HashMap<_, _> = self.names.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        (!map.is_empty()).then_some(map)
    }

    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        let map: HashMap<_, _> = self.values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        (!map.is_empty()).then_some(map)
    }
}

/// An item of this key, with these fields.
pub(crate) fn keyed<const N: usize>(
    pk: impl fmt::Display,
    sk: impl fmt::Display,
    fields: [(&str, AttributeValue); N],
) -> Item {
    let key = [("pk", text(pk)), ("sk", text(sk))];
    key.into_iter().chain(fields).map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn text(value: impl fmt::Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(crate) fn number(value: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn text_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn number_of(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
