//! The table's schema, used to create it on one host and in tests. In the cloud `template.yaml` creates the table.

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::{TableError, keys, unavailable};

/// Creates the table, its index and its TTL, unless they exist.
pub async fn create(client: &Client, name: &str) -> Result<(), TableError> {
    let attribute = |name: &str, kind: ScalarAttributeType| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("name and type are set")
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("name and type are set")
    };
    let open_jobs = GlobalSecondaryIndex::builder()
        .index_name(keys::OPEN_JOBS)
        .key_schema(key("open_shard", KeyType::Hash))
        .key_schema(key("sweep_at", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .expect("name and key schema are set");
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", ScalarAttributeType::S))
        .attribute_definitions(attribute("open_shard", ScalarAttributeType::S))
        .attribute_definitions(attribute("sweep_at", ScalarAttributeType::N))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(open_jobs)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(e) if e.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {}
        Err(e) => return Err(unavailable("CreateTable", e)),
    }
    let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build().expect("both are set");
    // Set on every start: a crash between the two calls would otherwise leave the table without a TTL for ever.
    let set = client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await;
    match set {
        Err(e) if e.code() == Some("ValidationException") && e.message().is_some_and(|m| m.contains("already")) => {
            Ok(())
        }
        set => set.map(drop).map_err(|e| unavailable("UpdateTimeToLive", e)),
    }
}
