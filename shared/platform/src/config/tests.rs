use super::*;

fn config(change: &'static str, value: Option<&'static str>) -> Result<EdgeAuthConfig, ConfigError> {
    EdgeAuthConfig::from_env(&Env::from_fn(move |name| {
        if name == change {
            return value.map(str::to_owned);
        }
        Some(
            match name {
                "AWS_REGION" => "eu-west-1",
                "WECHAT_BASE_URL" => "https://api.weixin.qq.com",
                "AWS_ACCESS_KEY_ID"
                | "AWS_SECRET_ACCESS_KEY"
                | "TABLE_NAME"
                | "QUEUE_URL"
                | "SECRETS_FILE"
                | "SESSION_ISSUER"
                | "SESSION_AUDIENCE"
                | "WECHAT_APP_ID" => "x",
                _ => return None,
            }
            .to_owned(),
        )
    }))
}

#[test]
fn a_missing_variable_stops_the_start_with_its_name() {
    assert!(config("", None).is_ok());
    for name in ["TABLE_NAME", "QUEUE_URL", "WECHAT_APP_ID", "WECHAT_BASE_URL", "AWS_REGION"] {
        assert_eq!(config(name, None).unwrap_err(), ConfigError::Missing(name));
    }
}

#[test]
fn secrets_come_from_a_file_or_from_secrets_manager_and_the_error_names_both() {
    assert_eq!(config("", None).unwrap().secrets, SecretSource::File("x".into()));
    let one_of = ConfigError::OneOf("SECRETS_FILE", "SECRET_ID");
    assert_eq!(config("SECRETS_FILE", None).unwrap_err(), one_of);
    assert_eq!(config("SECRET_ID", Some("stack/edge-auth")).unwrap_err(), one_of, "both");
    let text = one_of.to_string();
    assert!(text.contains("SECRETS_FILE") && text.contains("SECRET_ID"), "{text}");
    let only_id = secrets(&Env::from_fn(|name| (name == "SECRET_ID").then(|| "stack/edge-auth".to_owned())));
    assert_eq!(only_id, Ok(SecretSource::Manager("stack/edge-auth".to_owned())));
}

#[test]
fn a_namespace_is_one_that_cloudwatch_takes() {
    let read = |text: &'static str| {
        cloud_metrics(&Env::from_fn(move |name| {
            (name == "METRICS_NAMESPACE" && !text.is_empty()).then(|| text.to_owned())
        }))
    };
    let of = |namespace: &str, level| Ok(Some(CloudMetrics { namespace: namespace.to_owned(), level }));
    assert_eq!(read(""), Ok(None));
    assert_eq!(read("openclaw-prod"), of("openclaw-prod", Level::Full));
    for (level, read) in [("basic", of("s", Level::Basic)), ("full", of("s", Level::Full))] {
        let env = |name: &str| match name {
            "METRICS_NAMESPACE" => Some("s".to_owned()),
            "METRICS_LEVEL" => Some(level.to_owned()),
            _ => None,
        };
        assert_eq!(cloud_metrics(&Env::from_fn(env)), read);
    }
    let other = Env::from_fn(|name| (name == "METRICS_LEVEL").then(|| "most".to_owned()));
    assert!(cloud_metrics(&other).unwrap_err().to_string().contains("METRICS_LEVEL"));
    for bad in ["AWS/Lambda", "a b", ":a", "a\nb"] {
        assert!(read(bad).unwrap_err().to_string().contains("METRICS_NAMESPACE"), "{bad}");
    }
}

#[test]
fn an_unreadable_variable_stops_the_start_with_its_name() {
    for (name, value) in [
        ("WECHAT_BASE_URL", "ftp://x"),
        ("MAX_IN_FLIGHT", "many"),
        ("MAX_IN_FLIGHT_LONG", "few"),
        ("MAX_CONVERSATIONS", "all"),
        ("FAIR_QUEUE", "yes"),
        ("RETENTION_DAYS", "1"),
        ("CHECKPOINT_MAX_AGE_S", "0"),
        ("CHECKPOINT_MAX_AGE_S", "86401"),
    ] {
        let text = config(name, Some(value)).unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
    }
}
