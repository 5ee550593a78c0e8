//! A bucket of S3: two plain requests, signed with the SDK's signer. A complete S3 client would be the largest part of
//! this function.

use std::time::Duration;

use domain::ids::{Digest, Timestamp};
use http::{HeaderMap, Method, StatusCode};
use platform::aws::{
    AwsSettings,
    signature::{SignedService, Unsignable, Unsigned, signed_headers},
};

use super::ExportError;

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often a request is sent that fails or gets a server error.
const TRIES: usize = 3;

pub(crate) struct Bucket {
    http: reqwest::Client,
    /// The URL of the table's folder in the bucket, with a slash at its end.
    base_url: String,
    aws: AwsSettings,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Bucket {
    /// Each table has a folder of its own: a restored table has another name, and continues its numbers without meeting
    /// the objects that the old table has exported.
    pub(super) fn new(name: &str, table: &str, aws: &AwsSettings) -> Result<Self, reqwest::Error> {
        let bucket = match &aws.s3_endpoint {
            Some(endpoint) => format!("{}/{name}/", endpoint.trim_end_matches('/')),
            None => {
                let suffix = if aws.region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://{name}.s3.{}.amazonaws.com{suffix}/", aws.region)
            }
        };
        let base_url = format!("{bucket}{table}/");
        let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, base_url, aws: aws.clone() })
    }

    pub(super) async fn put(&self, name: &str, document: &str, now: Timestamp) -> Result<(), ExportError> {
        let failed = |cause| ExportError::Object { name: name.to_owned(), cause };
        let (status, _) = self.send(Method::PUT, name, document, now).await.map_err(failed)?;
        match status {
            StatusCode::OK => Ok(()),
            // The object exists. It may be this one, if the response to an earlier attempt was lost.
            StatusCode::PRECONDITION_FAILED => {
                let (status, there) = self.send(Method::GET, name, "", now).await.map_err(failed)?;
                match status {
                    StatusCode::OK if there == document.as_bytes() => Ok(()),
                    StatusCode::OK => Err(ExportError::Taken(name.to_owned())),
                    other => Err(failed(format!("there is one, and reading it was answered with {other}"))),
                }
            }
            other => Err(failed(format!("answered with {other}"))),
        }
    }

    /// Sends until there is a final response. Returns status and body; the body is never logged.
    async fn send(
        &self,
        method: Method,
        name: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let headers = self.signed(&method, name, body, now).map_err(|error| error.to_string())?;
            let url = format!("{}{name}", self.base_url);
            let sent = self.http.request(method.clone(), url).headers(headers).body(body.to_owned()).send().await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(error) => {
                    last = if error.is_timeout() { "timed out" } else { "could not be reached" }.to_owned();
                    continue;
                }
            };
            let status = answer.status();
            // 409: two requests are writing this name at the same moment. The next response tells which was first.
            if status.is_server_error() || status == StatusCode::CONFLICT {
                last = format!("answered with {status}");
                continue;
            }
            match answer.bytes().await {
                Ok(bytes) => return Ok((status, bytes.to_vec())),
                Err(_) => "the answer broke off".clone_into(&mut last),
            }
        }
        Err(last)
    }

    fn signed(&self, method: &Method, name: &str, body: &str, now: Timestamp) -> Result<HeaderMap, Unsignable> {
        // Condition: the object does not exist, so nothing is overwritten. A bucket with object lock requires a
        // checksum, in standard base64.
        let checksum = Digest::sha256(body.as_bytes()).to_string().replace('-', "+").replace('_', "/") + "=";
        let conditions =
            [("if-none-match", "*"), ("content-type", "application/json"), ("x-amz-checksum-sha256", &checksum)];
        let headers = if *method == Method::PUT { &conditions[..] } else { &[] };
        let url = format!("{}{name}", self.base_url);
        let request = Unsigned { method, url: &url, headers, body: body.as_bytes() };
        signed_headers(&self.aws, SignedService::S3, &request, now)
    }
}
