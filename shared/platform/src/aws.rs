//! The AWS clients, built by hand from what the Lambda environment holds, or from what a laptop's engines need.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    config::BehaviorVersion,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};
use domain::limits::Passing;

/// The longest that one operation takes, its repetitions included.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

/// Where AWS is, and as whom.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// The region.
    pub region: String,
    /// Another address than the region's own DynamoDB.
    pub dynamodb_endpoint: Option<String>,
    /// Another address than the region's own SQS.
    pub sqs_endpoint: Option<String>,
    /// Another address than the region's own Secrets Manager.
    pub secrets_manager_endpoint: Option<String>,
    /// Another address than the region's own CloudWatch.
    pub cloudwatch_endpoint: Option<String>,
    /// Another address than the region's own S3, where a bucket is the first part of the path.
    pub s3_endpoint: Option<String>,
    /// Who we are.
    pub credentials: Credentials,
    /// Another HTTP client than the default: plain HTTP on a laptop, faults in a test.
    pub http_client: Option<SharedHttpClient>,
}

impl AwsSettings {
    /// Settings for engines of this host, with a credential that an engine in the same process does not check.
    pub fn loopback(dynamodb: &str, sqs: &str) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            dynamodb_endpoint: Some(dynamodb.to_owned()),
            sqs_endpoint: Some(sqs.to_owned()),
            // On one host, secrets are a file.
            secrets_manager_endpoint: None,
            s3_endpoint: None,
            // And nothing is measured into a cloud.
            cloudwatch_endpoint: None,
            credentials: Credentials::new("local", "local", None, None, "loopback"),
            http_client: None,
        }
    }

    /// A DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk_config(self.dynamodb_endpoint.as_deref()))
    }

    /// An SQS client.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk_config(self.sqs_endpoint.as_deref()))
    }

    /// A Secrets Manager client.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.sdk_config(self.secrets_manager_endpoint.as_deref()))
    }

    /// What a client of CloudWatch is made from; only one function has one.
    pub fn cloudwatch(&self) -> SdkConfig {
        self.sdk_config(self.cloudwatch_endpoint.as_deref())
    }

    fn sdk_config(&self, endpoint: Option<&str>) -> SdkConfig {
        // Three attempts of at most a second, and four seconds in all: shorter than any function's deadline, so that an
        // answer that never comes is our own 503 and not the platform's timeout.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(500))
            .operation_attempt_timeout(Duration::from_millis(1500))
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(50))
            .with_max_backoff(Duration::from_millis(500));
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
                self.credentials.clone(),
            ))
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .time_source(aws_smithy_async::time::SystemTimeSource::new())
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Some(client) = &self.http_client {
            config = config.http_client(client.clone());
        }
        config.build()
    }
}

/// Whether the same call may be answered otherwise later. `docs/design/answers.md` has the same table. The SDK repeats what is not
/// final by itself; our own code repeats nothing.
pub fn passing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Passing {
    match error {
        SdkError::ConstructionFailure(_) => Passing::Final,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Passing::Unknown,
        SdkError::ServiceError(refusal) => match refusal.err().code().unwrap_or_default() {
            // The request is wrong.
            "ValidationException"
            | "SerializationException"
            | "ItemCollectionSizeLimitExceededException"
            | "InvalidParameterValue"
            | "InvalidMessageContents"
            // Rights, keys or names are, until an operator acts.
            | "AccessDeniedException"
            | "AccessDenied"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "ResourceNotFoundException"
            | "QueueDoesNotExist"
            | "AWS.SimpleQueueService.NonExistentQueue" => Passing::Final,
            // Throttled, busy, or credentials that are about to be replaced.
            _ => Passing::Later,
        },
        // What a later SDK may add.
        _ => Passing::Unknown,
    }
}

/// Why a call failed, without a word of what was sent or answered: the SDK's own text quotes both.
pub fn cause<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let kind = match error {
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::TimeoutError(_) => "timed out",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "timed out",
        SdkError::DispatchFailure(_) => "could not be reached",
        SdkError::ResponseError(_) => "the answer could not be read",
        SdkError::ServiceError(_) if passing(error) == Passing::Final => "refused for good",
        SdkError::ServiceError(_) => "refused",
        _ => "failed",
    };
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) => format!("{kind} ({code})"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::error::ErrorMetadata;

    #[test]
    fn a_refusal_by_aws_says_whether_it_can_pass() {
        let refused = |code: &str| {
            let metadata = ErrorMetadata::builder().code(code).message("quotes what was sent").build();
            SdkError::<_, ()>::service_error(metadata, ())
        };
        for (code, kind, text) in [
            ("ValidationException", Passing::Final, "refused for good (ValidationException)"),
            ("AccessDeniedException", Passing::Final, "refused for good (AccessDeniedException)"),
            ("ResourceNotFoundException", Passing::Final, "refused for good (ResourceNotFoundException)"),
            ("ThrottlingException", Passing::Later, "refused (ThrottlingException)"),
            ("InternalServerError", Passing::Later, "refused (InternalServerError)"),
            ("ExpiredTokenException", Passing::Later, "refused (ExpiredTokenException)"),
        ] {
            assert_eq!((passing(&refused(code)), cause(&refused(code))), (kind, text.to_owned()), "{code}");
        }
        let late = SdkError::<ErrorMetadata, ()>::timeout_error("late");
        assert_eq!((passing(&late), cause(&late)), (Passing::Unknown, "timed out".to_owned()));
    }
}
