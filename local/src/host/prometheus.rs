//! The metrics for Prometheus: the same names with the prefix `miniprogram_`, counters with the suffix `_total`,
//! distributions as histograms.
//!
//! Served on a separate port, on loopback, and only if one is given. On the service's own port the metrics would become
//! public as soon as a reverse proxy on the same host passes every path on, because such a proxy is a loopback client.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::header;
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use lambda_http::Body;
use platform::{
    http::{ApiError, Code},
    metrics::{Kind, Measurement, Metric, OTHER, Sink, Unit},
};
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::TcpListener;

use crate::emulation::{
    listener::{self, Server},
    loopback_guard::Hosts,
};

/// The prefix of every name.
const PREFIX: &str = "miniprogram";
/// Upper bounds in milliseconds: from a request to the table to a long tool call.
const MILLISECONDS: &[f64] = &[5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 9e5];
/// Upper bounds in bytes, around the limit of 32 KiB.
const BYTES: &[f64] = &[128.0, 512.0, 1024.0, 4096.0, 8192.0, 16384.0, 24576.0, 32768.0, 65536.0, 131_072.0];
/// Upper bounds of numbers of attempts.
const COUNTS: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 8.0];

/// A gauge that was not set for so long is not exported: what it told may be over. The longest pause between two values is
/// the refresh of secrets, five minutes while requests come.
const GAUGE_HOLDS: Duration = Duration::from_secs(600);

/// The state of every metric. Clones share it.
#[derive(Clone)]
pub struct Exporter(Arc<Families>);

struct Families {
    registry: Registry,
    by_metric: BTreeMap<Metric, Family>,
    /// When each gauge was set last, by its labels.
    set_at: Mutex<BTreeMap<(Metric, Vec<String>), Instant>>,
}

enum Family {
    Counter(CounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}

impl Exporter {
    /// An exporter with every metric of the list. Metrics without dimensions are exported from the start, as 0.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let mut by_metric = BTreeMap::new();
        for metric in Metric::ALL {
            by_metric.insert(*metric, family(*metric, &registry)?);
        }
        Ok(Self(Arc::new(Families { registry, by_metric, set_at: Mutex::default() })))
    }

    /// All metrics in the text format, without gauges that were not set for a while.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        self.forget_gauges(Instant::now());
        TextEncoder::new().encode_to_string(&self.0.registry.gather())
    }

    fn forget_gauges(&self, now: Instant) {
        let mut set_at = self.0.set_at.lock().unwrap_or_else(PoisonError::into_inner);
        set_at.retain(|(metric, labels), at| {
            let holds = now.duration_since(*at) < GAUGE_HOLDS;
            if let (false, Some(Family::Gauge(family))) = (holds, self.0.by_metric.get(metric)) {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                // It fails only if it is not exported anyway.
                let _gone = family.remove_label_values(&labels);
            }
            holds
        });
    }

    /// Serves `GET /metrics` on a bound listener.
    pub fn serve(&self, listener: TcpListener) -> Server {
        let exporter = self.clone();
        listener::serve(listener, move |_| {
            let exporter = exporter.clone();
            service_fn(move |request: http::Request<Incoming>| {
                let answer = match Hosts::Loopback.admit(&request) {
                    true => exporter.answer(request.method(), request.uri().path()),
                    false => text_of(ApiError::new(Code::HostNotAllowed).into_response()),
                };
                async { Ok::<_, Infallible>(answer) }
            })
        })
    }

    fn answer(&self, method: &http::Method, path: &str) -> http::Response<Full<Bytes>> {
        let mut answer = match (path, method) {
            ("/metrics", &http::Method::GET) => match self.text() {
                Ok(text) => {
                    let mut answer = http::Response::new(Body::Text(text));
                    platform::http::set(&mut answer, header::CONTENT_TYPE, TEXT_FORMAT);
                    answer
                }
                Err(error) => ApiError::new(Code::Internal).because(error).into_response(),
            },
            ("/metrics", _) => ApiError::other_method("GET").into_response(),
            _ => ApiError::new(Code::NotFound).into_response(),
        };
        platform::http::set(&mut answer, header::CACHE_CONTROL, "no-store");
        text_of(answer)
    }
}

fn text_of(answer: http::Response<Body>) -> http::Response<Full<Bytes>> {
    answer.map(|body| Full::new(Bytes::copy_from_slice(body.as_ref())))
}

/// The labels are the dimensions of the metric's widest set; Prometheus can sum over them.
fn family(metric: Metric, registry: &Registry) -> Result<Family, prometheus::Error> {
    let suffix = if metric.kind() == Kind::Counter { "_total" } else { "" };
    let options = Opts::new(format!("{}{suffix}", metric.name()), metric.help()).namespace(PREFIX);
    let labels = labels(metric);
    let bare = labels.is_empty();
    let no_values: [&str; 0] = [];
    Ok(match metric.kind() {
        Kind::Counter => {
            let family = CounterVec::new(options, &labels)?;
            registry.register(Box::new(family.clone()))?;
            _ = bare.then(|| family.with_label_values(&no_values));
            Family::Counter(family)
        }
        Kind::Gauge => {
            let family = GaugeVec::new(options, &labels)?;
            registry.register(Box::new(family.clone()))?;
            Family::Gauge(family)
        }
        Kind::Distribution => {
            let buckets = match metric.unit() {
                Unit::Bytes => BYTES,
                Unit::Count | Unit::None => COUNTS,
                Unit::Milliseconds | Unit::Seconds => MILLISECONDS,
            };
            let family = HistogramVec::new(HistogramOpts::from(options).buckets(buckets.to_vec()), &labels)?;
            registry.register(Box::new(family.clone()))?;
            _ = bare.then(|| family.with_label_values(&no_values));
            Family::Histogram(family)
        }
    })
}

fn labels(metric: Metric) -> Vec<&'static str> {
    metric.dimension_sets().first().into_iter().flat_map(|set| set.iter()).map(|dimension| dimension.name()).collect()
}

impl Sink for Exporter {
    fn take(&self, measurement: Measurement<'_>) {
        for (metric, value) in measurement.values {
            let dimensions = metric.dimension_sets().first().into_iter().flat_map(|set| set.iter());
            let labels: Vec<&str> =
                dimensions.map(|dimension| measurement.dimension(*dimension).unwrap_or(OTHER)).collect();
            match self.0.by_metric.get(metric) {
                Some(Family::Counter(family)) => family.with_label_values(&labels).inc_by(value.max(0.0)),
                Some(Family::Gauge(family)) => {
                    family.with_label_values(&labels).set(*value);
                    let key = (*metric, labels.iter().map(ToString::to_string).collect());
                    self.0.set_at.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Instant::now());
                }
                Some(Family::Histogram(family)) => family.with_label_values(&labels).observe(*value),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{
        metrics::{Dimension, Meter},
        runtime::Runtime,
    };

    fn metered() -> (Runtime, Exporter) {
        let exporter = Exporter::new().unwrap();
        (Runtime::system().metered(Meter::into_sink(exporter.clone())), exporter)
    }

    #[test]
    fn a_gauge_that_is_not_set_any_more_is_not_exported() {
        let (runtime, exporter) = metered();
        runtime.measure(&[(Metric::HeldTextAge, 660.0)], &[]);
        assert!(exporter.text().unwrap().contains("miniprogram_held_text_age_s 660"));
        exporter.forget_gauges(Instant::now() + GAUGE_HOLDS);
        assert!(!exporter.text().unwrap().contains("miniprogram_held_text_age_s 660"));
        runtime.measure(&[(Metric::HeldTextAge, 1.0)], &[]);
        assert!(exporter.text().unwrap().contains("miniprogram_held_text_age_s 1"));
    }

    #[test]
    fn every_metric_has_a_family_of_its_kind() {
        let (runtime, exporter) = metered();
        for metric in Metric::ALL {
            let mut dimensions: Vec<(Dimension, &str)> = Vec::new();
            dimensions.extend(metric.dimension_sets()[0].iter().map(|dimension| (*dimension, "some")));
            runtime.measure(&[(*metric, 2.0)], &dimensions);
        }
        let text = exporter.text().unwrap();
        for metric in Metric::ALL {
            let (suffix, kind) = match metric.kind() {
                Kind::Counter => ("_total", "counter"),
                Kind::Gauge => ("", "gauge"),
                Kind::Distribution => ("", "histogram"),
            };
            let name = format!("miniprogram_{}{suffix}", metric.name());
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} in {text}");
        }
    }

    #[test]
    fn counters_add_up_gauges_are_set_and_distributions_fill_buckets() {
        let (runtime, exporter) = metered();
        assert!(exporter.text().unwrap().contains("miniprogram_lease_lost_total 0\n"), "there from the start");
        for (value, code) in [(1.0, "not_found"), (1.0, "not_found"), (1.0, "no_session")] {
            runtime.measure(&[(Metric::Rejections, value)], &[(Dimension::Code, code)]);
        }
        for value in [3.0, 7.0] {
            runtime.measure(&[(Metric::OpenJobs, value), (Metric::ClaimDelay, value)], &[]);
        }
        let text = exporter.text().unwrap();
        for line in [
            "miniprogram_rejections_total{code=\"not_found\"} 2",
            "miniprogram_rejections_total{code=\"no_session\"} 1",
            "miniprogram_open_jobs 7",
            "miniprogram_claim_delay_ms_bucket{le=\"5\"} 1",
            "miniprogram_claim_delay_ms_bucket{le=\"10\"} 2",
            "miniprogram_claim_delay_ms_sum 10",
            "miniprogram_claim_delay_ms_count 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in {text}");
        }
    }

    #[tokio::test]
    async fn it_is_read_at_one_path_by_get() {
        let (runtime, exporter) = metered();
        runtime.count(Metric::SweepRuns);
        let listener = listener::bind(([127, 0, 0, 1], 0).into(), "--metrics-port").await.unwrap();
        let server = exporter.serve(listener);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = |path: &str| format!("{}{path}", server.base_url());
        let answer = http.get(url("/metrics")).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
        assert!(answer.text().await.unwrap().contains("miniprogram_sweep_runs_total 1\n"));
        assert_eq!(http.get(url("/")).send().await.unwrap().status(), 404);
        assert_eq!(http.post(url("/metrics")).send().await.unwrap().status(), 405);
        server.stop().await;
    }
}
