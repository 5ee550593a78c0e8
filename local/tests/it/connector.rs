//! The socket-free connector answers what the engines' own HTTP servers answer, and so do the guarded ports.

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use aws_sdk_sqs::types::QueueAttributeName;
use local::emulation::{
    backend::{Backend, TABLE},
    connector::InProcess,
    engine_ports::EnginePorts,
    engines::{EngineOptions, Engines},
};
use platform::{aws::AwsSettings, runtime::Runtime};
use tokio::net::TcpListener;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn sorted(item: Option<&std::collections::HashMap<String, AttributeValue>>) -> String {
    format!("{:?}", item.map(|item| item.iter().collect::<std::collections::BTreeMap<_, _>>()))
}

/// Every operation that the service uses on the table, and what came back.
async fn table_story(backend: &Backend) -> Vec<String> {
    let db = backend.aws.dynamodb();
    let mut told = Vec::new();
    let put = |value: &str| {
        let put = db.put_item().table_name(TABLE).item("pk", s("U#1")).item("sk", s("J#1")).item("st", s(value));
        let put = put.item("open_shard", s("OPEN#1")).item("sweep_at", AttributeValue::N("7".to_owned()));
        put.condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    };
    told.push(format!("put {}", put("first").send().await.is_ok()));
    let refused = put("second").send().await.unwrap_err().into_service_error();
    told.push(match refused {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) => {
            format!("refused, old item {}", sorted(failed.item()))
        }
        other => format!("{other:?}"),
    });
    let key = |sk: &str| std::collections::HashMap::from([("pk".to_owned(), s("U#1")), ("sk".to_owned(), s(sk))]);
    let got = db.get_item().table_name(TABLE).set_key(Some(key("J#1"))).consistent_read(true).send().await.unwrap();
    told.push(format!("got {}", sorted(got.item())));
    let index = db.query().table_name(TABLE).index_name("open_jobs");
    let index = index.key_condition_expression("open_shard = :s AND sweep_at <= :t");
    let index = index.expression_attribute_values(":s", s("OPEN#1"));
    let index = index.expression_attribute_values(":t", AttributeValue::N("7".to_owned())).send().await.unwrap();
    told.push(format!("index {}", index.items().iter().map(|item| sorted(Some(item))).collect::<String>()));
    let updated = db.update_item().table_name(TABLE).set_key(Some(key("J#1")));
    let updated = updated.update_expression("SET st = :v REMOVE open_shard").condition_expression("st = :was");
    let updated = updated.expression_attribute_values(":v", s("third")).expression_attribute_values(":was", s("first"));
    let updated = updated.return_values(ReturnValue::AllNew).send().await.unwrap();
    told.push(format!("updated {}", sorted(updated.attributes())));
    let keys = KeysAndAttributes::builder().keys(key("J#1")).keys(key("J#2")).build().unwrap();
    let batch = db.batch_get_item().request_items(TABLE, keys).send().await.unwrap();
    told.push(format!("batch {}", batch.responses().unwrap()[TABLE].len()));
    let deleted = db.delete_item().table_name(TABLE).set_key(Some(key("J#1"))).return_values(ReturnValue::AllOld);
    told.push(format!("deleted {}", sorted(deleted.send().await.unwrap().attributes())));
    let described = db.describe_table().table_name(TABLE).send().await.unwrap();
    told.push(format!("status {:?}", described.table().unwrap().table_status()));
    let ttl = db.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    told.push(format!("{:?}", ttl.time_to_live_description()));
    let missing = db.get_item().table_name("no-such-table").set_key(Some(key("J#1"))).send().await.unwrap_err();
    told.push(format!("missing: {}", missing.into_service_error().is_resource_not_found_exception()));
    let malformed = db.query().table_name(TABLE).key_condition_expression("nonsense").send().await.unwrap_err();
    told.push(format!("malformed: {:?}", malformed.into_service_error().meta().code()));
    told
}

/// The same for the queue.
async fn queue_story(backend: &Backend) -> Vec<String> {
    let (sqs, url) = (backend.aws.sqs(), &backend.queue_url);
    let mut told = Vec::new();
    told.push(format!("sent {}", sqs.send_message().queue_url(url).message_body("hello").send().await.is_ok()));
    let received = sqs.receive_message().queue_url(url).wait_time_seconds(1).send().await.unwrap();
    let message = received.messages().first().unwrap();
    told.push(format!("received {:?}", message.body()));
    let handle = message.receipt_handle().unwrap();
    let change = sqs.change_message_visibility().queue_url(url).receipt_handle(handle).visibility_timeout(0);
    told.push(format!("made visible {}", change.send().await.is_ok()));
    let again = sqs.receive_message().queue_url(url).wait_time_seconds(2).send().await.unwrap();
    let handle = again.messages().first().unwrap().receipt_handle().unwrap().to_owned();
    told.push(format!("deleted {}", sqs.delete_message().queue_url(url).receipt_handle(handle).send().await.is_ok()));
    let set = sqs.set_queue_attributes().queue_url(url).attributes(QueueAttributeName::VisibilityTimeout, "61");
    told.push(format!("set {}", set.send().await.is_ok()));
    let attributes = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap();
    for name in [
        QueueAttributeName::VisibilityTimeout,
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::RedrivePolicy,
    ] {
        told.push(format!("{name:?} {:?}", attributes.attributes().unwrap().get(&name)));
    }
    let grouped = sqs.send_message().queue_url(url).message_body("x").message_group_id("g").send().await.unwrap_err();
    told.push(format!("grouped: {:?}", grouped.into_service_error().meta().code()));
    let missing = sqs.send_message().queue_url(format!("{url}-missing")).message_body("x").send().await.unwrap_err();
    told.push(format!("missing: {}", missing.into_service_error().is_queue_does_not_exist()));
    told
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what the connector is compared with")]
async fn the_connector_answers_what_the_sockets_answer() {
    let ports = EnginePorts::bind(0, 0).await.unwrap();
    let options = EngineOptions { queue_port: ports.queue_port(), ..EngineOptions::default() };
    let engines = Engines::start(options).await.unwrap();
    let served = ports.serve(&engines, &Runtime::system());
    // The table engine's own server checks fields before it decodes them. Only here does it listen.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut own = AwsSettings::loopback(&format!("http://{}", listener.local_addr().unwrap()), "");
    own.http_client = Some(aws_smithy_http_client::Builder::new().build_http());
    let database = dynoxide::Database::memory().unwrap();
    let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    store::schema::create(&own.dynamodb(), TABLE).await.unwrap();
    let own = Backend { aws: own, ..engines.backend.clone() };

    let in_process = Backend::create(InProcess::memory().settings()).await.unwrap();
    let told = table_story(&own).await;
    assert_eq!(told, table_story(&in_process).await);
    assert_eq!(told, table_story(&served.backend).await);
    assert!(told[1].contains("first") && told[1].starts_with("refused"), "{}", told[1]);
    assert_eq!(queue_story(&served.backend).await, queue_story(&in_process).await);
    server.abort();
    served.stop().await;
    engines.stop().await;
}

#[tokio::test]
async fn making_the_backend_twice_changes_nothing() {
    let engine = InProcess::memory();
    let first = Backend::create(engine.settings()).await.unwrap();
    let second = Backend::create(engine.settings()).await.unwrap();
    assert_eq!((first.queue_url, first.dlq_url), (second.queue_url, second.dlq_url));
}

#[tokio::test]
async fn an_undecidable_message_ends_in_the_dead_letter_queue() {
    let backend = Backend::create(InProcess::memory().settings()).await.unwrap();
    let sqs = backend.aws.sqs();
    sqs.send_message().queue_url(&backend.queue_url).message_body("poison").send().await.unwrap();
    for _ in 0..11 {
        let receive = sqs.receive_message().queue_url(&backend.queue_url).visibility_timeout(0);
        receive.send().await.unwrap();
    }
    let dead = sqs.receive_message().queue_url(&backend.dlq_url).wait_time_seconds(1).send().await.unwrap();
    assert_eq!(dead.messages().first().and_then(|message| message.body()), Some("poison"));
}
