//! Signature Version 4 for the few requests that are sent without an SDK client: whole clients for them would be a large
//! part of the function. The signer is the one below every SDK client.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use domain::ids::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::AwsSettings;

/// The service that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedService {
    /// S3.
    S3,
    /// CloudWatch's metrics.
    CloudWatch,
}

impl SignedService {
    /// Its name in a signature.
    const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::CloudWatch => "monitoring",
        }
    }

    fn settings(self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self == Self::S3 {
            // As S3 requires: the path is not encoded twice, and the digest of the body is a header.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

/// A request as it is signed.
#[derive(Debug)]
pub struct Unsigned<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole URL.
    pub url: &'a str,
    /// Headers besides those of the signature.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// A request cannot be signed: its URL or one of its headers is invalid. The cause is dropped, since it may quote them.
#[derive(Debug, thiserror::Error)]
#[error("the request could not be signed")]
pub struct Unsignable;

/// The headers of a request: its own, and those of its signature.
pub fn signed_headers(
    aws: &AwsSettings,
    service: SignedService,
    request: &Unsigned<'_>,
    now: Timestamp,
) -> Result<HeaderMap, Unsignable> {
    signed(aws, service, request, now).map_err(|_| Unsignable)
}

fn signed(
    aws: &AwsSettings,
    service: SignedService,
    request: &Unsigned<'_>,
    now: Timestamp,
) -> Result<HeaderMap, Box<dyn std::error::Error>> {
    let identity = aws.credentials.clone().into();
    let since_1970 = Duration::from_millis(u64::try_from(now.millis())?);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&aws.region)
        .name(service.name())
        .time(UNIX_EPOCH + since_1970)
        .settings(service.settings())
        .build()?;
    let Unsigned { method, url, headers, body } = *request;
    let signable = SignableRequest::new(method.as_str(), url, headers.iter().copied(), SignableBody::Bytes(body))?;
    let (instructions, _) = sign(signable, &params.into())?.into_parts();
    let mut all = HeaderMap::new();
    for (header, value) in headers.iter().copied().chain(instructions.headers()) {
        all.insert(HeaderName::try_from(header)?, HeaderValue::try_from(value)?);
    }
    Ok(all)
}
