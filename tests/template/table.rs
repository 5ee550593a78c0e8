//! The table of the template has the schema that the code creates on one host and in tests.

use aws_sdk_dynamodb::types::{AttributeDefinition, KeySchemaElement, TableDescription};
use local::emulation::connector::InProcess;
use serde_json::{Value, json};

use crate::document::Template;

fn keys(schema: &[KeySchemaElement]) -> Value {
    schema
        .iter()
        .map(|key| json!({"AttributeName": key.attribute_name(), "KeyType": key.key_type().as_str()}))
        .collect()
}

fn sorted(mut list: Vec<Value>) -> Value {
    list.sort_by_key(ToString::to_string);
    list.into()
}

/// The shape of a table as an engine describes it, in the template's words.
fn shape(table: &TableDescription, ttl: &str) -> Value {
    let definition = |one: &AttributeDefinition| json!({"AttributeName": one.attribute_name(), "AttributeType": one.attribute_type().as_str()});
    let indexes = table.global_secondary_indexes().iter().map(|index| {
        let projection = index.projection().and_then(|one| one.projection_type()).map(|kind| kind.as_str().to_owned());
        json!({
            "IndexName": index.index_name(), "KeySchema": keys(index.key_schema()),
            "Projection": {"ProjectionType": projection},
        })
    });
    let billing = table.billing_mode_summary().and_then(|one| one.billing_mode()).map(|mode| mode.as_str().to_owned());
    json!({
        "AttributeDefinitions": sorted(table.attribute_definitions().iter().map(definition).collect()),
        "KeySchema": keys(table.key_schema()),
        "GlobalSecondaryIndexes": indexes.collect::<Vec<_>>(),
        "BillingMode": billing,
        "TimeToLiveSpecification": {"AttributeName": ttl, "Enabled": true},
        "StreamSpecification": table.stream_specification().map(|_| "a stream"),
    })
}

fn deployed(template: &Template) -> Value {
    let property = |name: &str| template.property("Table", name).clone();
    json!({
        "AttributeDefinitions": sorted(property("AttributeDefinitions").as_array().cloned().unwrap_or_default()),
        "KeySchema": property("KeySchema"),
        "GlobalSecondaryIndexes": property("GlobalSecondaryIndexes"),
        "BillingMode": property("BillingMode"),
        "TimeToLiveSpecification": property("TimeToLiveSpecification"),
        "StreamSpecification": property("StreamSpecification"),
    })
}

#[tokio::test]
async fn the_table_of_the_template_is_the_one_that_the_code_makes() {
    let client = InProcess::memory().settings().dynamodb();
    store::schema::create(&client, "as-the-code-makes-it").await.unwrap();
    let table = client.describe_table().table_name("as-the-code-makes-it").send().await.unwrap().table.unwrap();
    let ttl = client.describe_time_to_live().table_name("as-the-code-makes-it").send().await.unwrap();
    let ttl = ttl.time_to_live_description.and_then(|ttl| ttl.attribute_name).unwrap();
    let made = shape(&table, &ttl);
    let template = Template::read();
    assert_eq!(deployed(&template), made);

    for (pointer, value) in [
        ("/Resources/Table/Properties/GlobalSecondaryIndexes/0/IndexName", json!("open")),
        ("/Resources/Table/Properties/TimeToLiveSpecification/AttributeName", json!("expires")),
        ("/Resources/Table/Properties/AttributeDefinitions/3/AttributeType", json!("S")),
    ] {
        let mut changed = template.clone();
        *changed.0.pointer_mut(pointer).unwrap() = value;
        assert_ne!(deployed(&changed), made, "{pointer}");
    }
}
