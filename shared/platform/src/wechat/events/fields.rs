//! Reads a message in JSON or XML into one tree: texts, objects, and arrays for what occurs more than once.
//!
//! XML documents with a document type are refused, so there are no entities to expand and none to fetch.

use domain::json;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

/// Elements and texts of an XML document. WeChat's messages have less than 100.
const MAX_NODES: u32 = 2000;
/// Levels of an XML document. WeChat's messages have four.
const MAX_DEPTH: usize = 16;

/// The members of a message; `None` if it is neither a JSON object nor an XML document.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let value = match bytes.trim_ascii_start().first() {
        Some(b'<') => read_xml(std::str::from_utf8(bytes).ok()?)?,
        _ => json::foreign::<Value>(bytes).ok()?,
    };
    value.is_object().then_some(value)
}

fn read_xml(text: &str) -> Option<Value> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_ascii_start(), options).ok()?;
    value_of(document.root_element(), MAX_DEPTH)
}

/// An element with elements is an object, any other one its text.
fn value_of(element: Node<'_, '_>, levels: usize) -> Option<Value> {
    let levels = levels.checked_sub(1)?;
    let mut members: Map<String, Value> = Map::new();
    for child in element.children().filter(Node::is_element) {
        let (name, value) = (child.tag_name().name(), value_of(child, levels)?);
        match members.get_mut(name) {
            Some(Value::Array(all)) => all.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(members.insert(name.to_owned(), value)),
        }
    }
    if members.is_empty() {
        let texts = element.children().filter_map(|child| child.text().filter(|_| child.is_text()));
        return Some(Value::String(texts.collect()));
    }
    Some(Value::Object(members))
}
