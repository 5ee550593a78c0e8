//! CloudWatch: one kind of request, `GetMetricData`, as AWS JSON 1.0 and signed with the SDK's signer. A whole client
//! of CloudWatch would bring 14 crates for it.
//!
//! Source: the operation in the API reference of CloudWatch, and its service model, which lists the protocol `json`
//! with version 1.0 and the target prefix `GraniteServiceVersion20100801`.

use std::{borrow::Cow, time::Duration};

use domain::{ids::Timestamp, json};
use http::{Method, StatusCode};
use platform::aws::{
    AwsSettings,
    signature::{SignedService, Unsigned, signed_headers},
};
use reqwest::{Client, redirect};
use serde::{Deserialize, Serialize};

/// The most queries that one request may have.
pub(super) const QUERIES_AT_ONCE: usize = 500;
/// Timeout of one attempt. All attempts together are shorter than the function's timeout.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How often a request is sent that is not answered, or answered with a server error.
const TRIES: usize = 2;
/// Maximum size of an answer in bytes: 180 points of each of 500 queries are at most 3 MB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// CloudWatch did not answer. The text has the cause, and nothing of the request.
#[derive(Debug, thiserror::Error)]
#[error("CloudWatch did not answer GetMetricData: {0}")]
pub(super) struct CloudFault(String);

/// The HTTP client for CloudWatch could not be built.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for CloudWatch")]
pub struct BadCloudWatchClient(#[source] reqwest::Error);

/// CloudWatch in the functions' region.
#[derive(Debug)]
pub(crate) struct CloudWatch {
    http: Client,
    aws: AwsSettings,
    url: String,
}

/// One series of one metric.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Query<'a> {
    /// The name of the series in the answer: a small letter, then letters and digits.
    pub(super) id: String,
    /// The series.
    pub(super) metric_stat: MetricStat<'a>,
}

/// A metric, and how its values within a period become one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat<'a> {
    pub(super) metric: Metric<'a>,
    /// In seconds, a multiple of 60.
    pub(super) period: u64,
    /// `Sum`, `p95`.
    pub(super) stat: &'static str,
}

/// A metric with its dimension.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metric<'a> {
    pub(super) namespace: &'a str,
    pub(super) metric_name: &'static str,
    pub(super) dimensions: [Dimension<'a>; 1],
}

/// A dimension and its value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension<'a> {
    pub(super) name: &'static str,
    pub(super) value: Cow<'a, str>,
}

/// Queries over a time; all points that fit are answered at once.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricData<'a> {
    metric_data_queries: &'a [Query<'a>],
    /// Epoch seconds, inclusive.
    start_time: i64,
    /// Epoch seconds, exclusive.
    end_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricData {
    metric_data_results: Vec<Series>,
}

/// The points of one query, newest first.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Series {
    /// Id of the query.
    pub(super) id: String,
    /// Epoch seconds.
    #[serde(default)]
    timestamps: Vec<f64>,
    #[serde(default)]
    values: Vec<f64>,
}

impl Series {
    /// Epoch seconds and value, oldest first.
    pub(super) fn points(&self) -> Vec<(i64, f64)> {
        let seconds = self.timestamps.iter().map(|at| *at as i64);
        let mut points: Vec<(i64, f64)> = seconds.zip(self.values.iter().copied()).collect();
        points.sort_by_key(|(at, _)| *at);
        points
    }
}

/// An error of AWS JSON: `__type` is the code, after a namespace and a `#`.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
}

/// Why an attempt has no result.
enum Attempt {
    /// The same request may be answered.
    Again(String),
    /// It is refused.
    Refused(String),
}

impl CloudWatch {
    pub(super) fn new(aws: &AwsSettings) -> Result<Self, BadCloudWatchClient> {
        let http = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(BadCloudWatchClient)?;
        let url = aws.cloudwatch_endpoint.clone().unwrap_or_else(|| {
            let suffix = if aws.region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://monitoring.{}.amazonaws.com{suffix}", aws.region)
        });
        let url = format!("{}/", url.trim_end_matches('/'));
        Ok(Self { http, aws: aws.clone(), url })
    }

    /// The points of at most [`QUERIES_AT_ONCE`] queries from `from` on.
    pub(super) async fn series(
        &self,
        queries: &[Query<'_>],
        from: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Series>, CloudFault> {
        let asked = GetMetricData {
            metric_data_queries: queries,
            start_time: from.seconds_floor(),
            end_time: now.seconds_floor(),
        };
        let body = serde_json::to_vec(&asked).map_err(|_| CloudFault("the request could not be written".to_owned()))?;
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.attempt(&body, now).await {
                Ok(series) => return Ok(series),
                Err(Attempt::Again(cause)) => last = cause,
                Err(Attempt::Refused(cause)) => return Err(CloudFault(cause)),
            }
        }
        Err(CloudFault(last))
    }

    async fn attempt(&self, body: &[u8], now: Timestamp) -> Result<Vec<Series>, Attempt> {
        let own = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "GraniteServiceVersion20100801.GetMetricData"),
        ];
        let request = Unsigned { method: &Method::POST, url: &self.url, headers: &own, body };
        let headers = signed_headers(&self.aws, SignedService::CloudWatch, &request, now)
            .map_err(|error| Attempt::Refused(error.to_string()))?;
        let lost = |error: reqwest::Error| {
            Attempt::Again(if error.is_timeout() { "timed out" } else { "could not be reached" }.to_owned())
        };
        let mut answer = self.http.post(&self.url).headers(headers).body(body.to_owned()).send().await.map_err(lost)?;
        let status = answer.status();
        let mut read = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            read.extend_from_slice(&chunk);
            if read.len() > MAX_BYTES {
                return Err(Attempt::Refused("answered more than was asked for".to_owned()));
            }
        }
        if status != StatusCode::OK {
            let cause = format!("{} ({})", status.as_u16(), code(&read));
            return Err(if status.is_server_error() { Attempt::Again(cause) } else { Attempt::Refused(cause) });
        }
        let data: MetricData =
            json::foreign(&read).map_err(|_| Attempt::Refused("the answer could not be read".to_owned()))?;
        Ok(data.metric_data_results)
    }
}

/// The code of a refusal, and nothing else of it: its message quotes requests.
fn code(body: &[u8]) -> String {
    let kind = json::foreign(body).map(|refusal: Refusal| refusal.kind).unwrap_or_default();
    let code = kind.rsplit('#').next().unwrap_or_default();
    let is_code = !code.is_empty() && code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    if is_code { code.to_owned() } else { "no code".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_the_regions_and_china_has_its_own_domain() {
        for (region, url) in [
            ("eu-west-1", "https://monitoring.eu-west-1.amazonaws.com/"),
            ("cn-north-1", "https://monitoring.cn-north-1.amazonaws.com.cn/"),
        ] {
            let aws = AwsSettings { region: region.to_owned(), ..AwsSettings::loopback("", "") };
            assert_eq!(CloudWatch::new(&aws).unwrap().url, url);
        }
    }

    #[test]
    fn of_a_refusal_only_its_code_is_kept() {
        for (body, kept) in [
            (r#"{"__type":"com.amazonaws.cloudwatch#AccessDenied","message":"arn:aws:..."}"#, "AccessDenied"),
            (r#"{"__type":"ThrottlingException"}"#, "ThrottlingException"),
            (r#"{"__type":"said: a secret"}"#, "no code"),
            ("<html>", "no code"),
            ("", "no code"),
        ] {
            assert_eq!(code(body.as_bytes()), kept, "{body}");
        }
    }
}
