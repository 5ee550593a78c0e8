//! The AWS clients, built from the Lambda environment or for engines on one host.

pub mod signature;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    config::{BehaviorVersion, IdentityCache, StalledStreamProtectionConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};
use domain::limits::Passing;

/// Maximum duration of one operation, including the SDK's retries.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

/// Region, endpoints and credentials of AWS.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// The region.
    pub region: String,
    /// Endpoint of DynamoDB other than the region's.
    pub dynamodb_endpoint: Option<String>,
    /// Endpoint of SQS other than the region's.
    pub sqs_endpoint: Option<String>,
    /// Endpoint of Secrets Manager other than the region's.
    pub secrets_manager_endpoint: Option<String>,
    /// Endpoint of CloudWatch other than the region's.
    pub cloudwatch_endpoint: Option<String>,
    /// Endpoint of S3 other than the region's, with the bucket as the first segment of the path.
    pub s3_endpoint: Option<String>,
    /// Credentials.
    pub credentials: Credentials,
    /// HTTP client other than the default: plain HTTP on one host, injected faults in tests.
    pub http_client: Option<SharedHttpClient>,
}

impl AwsSettings {
    /// Settings for engines of this host, with a credential that an engine in the same process does not check.
    pub fn loopback(dynamodb: &str, sqs: &str) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            dynamodb_endpoint: Some(dynamodb.to_owned()),
            sqs_endpoint: Some(sqs.to_owned()),
            // On one host the secrets are in a file.
            secrets_manager_endpoint: None,
            s3_endpoint: None,
            // On one host nothing is sent to CloudWatch.
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

    fn sdk_config(&self, endpoint: Option<&str>) -> SdkConfig {
        // Three attempts of at most one second, and four seconds in total: shorter than every function's timeout, so
        // that a missing response becomes a 503 of this service instead of a timeout of the platform.
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
            .retry_config(retries)
            // An answer that stalls is ended by the timeout of its attempt, far within the 5 s after which this would.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // The credentials are at hand, and never expire by themselves.
            .identity_cache(IdentityCache::no_cache());
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Some(client) = &self.http_client {
            config = config.http_client(client.clone());
        }
        config.build()
    }
}

/// Whether a repetition may succeed. `docs/design/answers.md` has the same table. The SDK repeats what is not final;
/// no other code does.
pub fn passing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Passing {
    match error {
        SdkError::ConstructionFailure(_) => Passing::Final,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Passing::Unknown,
        SdkError::ServiceError(refusal) => match refusal.err().code().unwrap_or_default() {
            // The request is invalid.
            "ValidationException"
            | "SerializationException"
            | "ItemCollectionSizeLimitExceededException"
            | "InvalidParameterValue"
            | "InvalidMessageContents"
            // Permissions, keys or names are wrong until an operator acts.
            | "AccessDeniedException"
            | "AccessDenied"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "ResourceNotFoundException"
            | "QueueDoesNotExist"
            | "AWS.SimpleQueueService.NonExistentQueue" => Passing::Final,
            // Throttling, overload, or expired credentials that are being replaced.
            _ => Passing::Later,
        },
        // Variants that a later SDK may add.
        _ => Passing::Unknown,
    }
}

/// Why a call failed: the kind of the failure and its code. The SDK's own message is dropped, since it quotes
/// requests and responses.
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
