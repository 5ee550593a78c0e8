//! The items of an app's table as DynamoDB's JSON, so that what one version stored can be read by a later one.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use platform::aws::AwsSettings;
use serde_json::{Map, Value, json};

use crate::App;

type Item = HashMap<String, AttributeValue>;

pub(crate) async fn read(aws: &AwsSettings, table: &str) -> Vec<Value> {
    let client = aws.dynamodb();
    let (mut items, mut begin) = (Vec::new(), None);
    loop {
        let page = client.scan().table_name(table).set_exclusive_start_key(begin).send().await;
        let page = page.expect("the table answers");
        items.extend(page.items().iter().map(item_to_json));
        begin = page.last_evaluated_key;
        if begin.is_none() {
            break;
        }
    }
    items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
    items
}

pub(crate) async fn write(aws: &AwsSettings, table: &str, items: &[Value]) {
    for item in items {
        let put = aws.dynamodb().put_item().table_name(table);
        put.set_item(Some(item_from_json(item))).send().await.expect("the table answers");
    }
}

impl App {
    /// Makes every user who has logged in here the user with this id, so that the next login is theirs.
    pub async fn log_in_as_stored_user(&self, user_id: &str) {
        let mut items = self.inspect().stored_items().await;
        items.retain(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with("LOGIN#")));
        for item in &mut items {
            item["user"] = json!({ "S": user_id });
        }
        self.inspect().store_items(&items).await;
    }
}

fn item_to_json(item: &Item) -> Value {
    item.iter().map(|(name, value)| (name.clone(), value_to_json(value))).collect::<Map<_, _>>().into()
}

fn item_from_json(item: &Value) -> Item {
    let fields = item.as_object().expect("an item is an object");
    fields.iter().map(|(name, value)| (name.clone(), value_from_json(value))).collect()
}

fn value_to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(value_to_json).collect::<Vec<_>>() }),
        AttributeValue::M(fields) => json!({ "M": item_to_json(fields) }),
        other => panic!("no item holds such a value: {other:?}"),
    }
}

fn value_from_json(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().and_then(|value| value.iter().next()).expect("a value names its type");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    match kind.as_str() {
        "S" => AttributeValue::S(text(value)),
        "N" => AttributeValue::N(text(value)),
        "BOOL" => AttributeValue::Bool(value.as_bool().expect("a flag")),
        "NULL" => AttributeValue::Null(true),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(text(value)).expect("base64"))),
        "SS" => AttributeValue::Ss(list(value).iter().map(text).collect()),
        "NS" => AttributeValue::Ns(list(value).iter().map(text).collect()),
        "L" => AttributeValue::L(list(value).iter().map(value_from_json).collect()),
        "M" => AttributeValue::M(item_from_json(value)),
        other => panic!("no item holds such a value: {other}"),
    }
}
