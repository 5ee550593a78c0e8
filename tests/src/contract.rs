//! `openapi.yaml` as a contract that responses are checked against.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{Reply, mini_gateway::checkout};

/// The document, and the schemas that were compiled so far.
#[derive(Debug)]
pub struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// The contract of this checkout.
    pub fn of_the_checkout() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let text = std::fs::read_to_string(checkout().join("openapi.yaml")).expect("openapi.yaml is there");
            let document = serde_yaml_ng::from_str(&text).expect("openapi.yaml is YAML");
            Self { document, validators: Mutex::default() }
        })
    }

    /// The whole of it.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Follows one `$ref`.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(pointer) => {
                self.document.pointer(pointer.trim_start_matches('#')).unwrap_or_else(|| panic!("{pointer}"))
            }
            None => value,
        }
    }

    /// The route that a path belongs to, if it accepts the method.
    pub fn route(&self, method: &str, path: &str) -> Option<&str> {
        let path = path.split('?').next().unwrap_or_default();
        let fits = |written: &str| {
            let (written, path): (Vec<_>, Vec<_>) = (written.split('/').collect(), path.split('/').collect());
            let same = |(w, p): (&&str, &&str)| w == p || (w.starts_with('{') && !p.is_empty());
            written.len() == path.len() && written.iter().zip(&path).all(same)
        };
        let paths = self.document["paths"].as_object().expect("the document has paths");
        let found = paths.iter().find(|(written, _)| fits(written));
        found.filter(|(_, item)| item.get(method.to_lowercase()).is_some()).map(|(written, _)| written.as_str())
    }

    /// Panics unless the response fits the document for that route and status.
    pub fn check(&self, method: &str, route: &str, reply: &Reply) {
        let place = format!("{method} {route} {}", reply.status.as_u16());
        let operation = &self.document["paths"][route][method.to_lowercase()];
        let promised = operation["responses"].get(reply.status.as_str());
        let promised = promised.unwrap_or_else(|| panic!("{place} is not in openapi.yaml: {}", reply.body));
        let promised = self.resolve(promised);
        for name in promised["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            let header = self.resolve(&promised["headers"][name]);
            let value = reply.header(name);
            assert!(header["required"] != true || !value.is_empty(), "{place}: header {name} is missing");
            if !value.is_empty() {
                self.fits(&format!("{place}: header {name}"), &header["schema"], &value.into());
            }
        }
        let Some(content) = promised.get("content").and_then(Value::as_object) else {
            return assert_eq!(reply.body, Value::Null, "{place}");
        };
        let media = content.get(reply.header("content-type"));
        let media = media.unwrap_or_else(|| panic!("{place}: {:?} {}", reply.headers, reply.body));
        let plain = reply.header("content-type") == "text/plain";
        let body = if plain { Value::String(reply.text.clone()) } else { reply.body.clone() };
        self.fits(&place, &media["schema"], &body);
    }

    /// Panics unless the response is a problem document of that status, as for a path without a route.
    pub fn check_problem(&self, reply: &Reply) {
        let place = format!("{} without a route", reply.status.as_u16());
        assert_eq!(reply.header("content-type"), "application/problem+json", "{place}: {}", reply.body);
        self.fits(&place, &json!({"$ref": "#/components/schemas/Problem"}), &reply.body);
        assert_eq!(reply.body["status"], reply.status.as_u16(), "{place}");
    }

    /// Panics unless every example of the document fits the schema next to it.
    pub fn check_examples(&self) {
        let beside = |place: &str, holder: &Value| {
            let examples = holder["examples"].as_object().into_iter().flatten();
            for (name, example) in examples {
                let place = format!("{place} example {name}");
                self.fits(&place, &holder["schema"], &self.resolve(example)["value"]);
            }
        };
        for (path, item) in self.document["paths"].as_object().expect("the document has paths") {
            for (method, operation) in item.as_object().expect("a path has methods") {
                let body = operation["requestBody"]["content"].as_object().into_iter().flatten();
                body.for_each(|(_, holder)| beside(&format!("{method} {path}"), holder));
                for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                    let content = self.resolve(response)["content"].as_object().into_iter().flatten();
                    content.for_each(|(_, holder)| beside(&format!("{method} {path} {status}"), holder));
                }
            }
        }
    }

    fn fits(&self, place: &str, schema: &Value, value: &Value) {
        let validator = self.validators.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned();
        let validator = validator.unwrap_or_else(|| {
            let schema = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "allOf": [schema],
                "components": self.document["components"],
            });
            let made = Arc::new(jsonschema::draft202012::new(&schema).expect("openapi.yaml has sound schemas"));
            let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(place.to_owned(), made.clone());
            made
        });
        let faults: Vec<String> =
            validator.iter_errors(value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{place}: {faults:?} in {value}");
    }
}
