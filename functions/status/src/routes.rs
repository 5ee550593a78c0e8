//! Which paths there are.

/// A path of this function. All of them take GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// A user's jobs.
    Jobs,
    /// One of them.
    Job,
    /// Its audit chain.
    Audit,
    /// What the user may call.
    Tools,
    /// Whether the process answers.
    Live,
    /// Whether the service works.
    Ready,
}

impl Route {
    /// Method and path with placeholders, for logs: the name that route, file and test share.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "GET /v1/jobs",
            Self::Job => "GET /v1/jobs/{request_id}",
            Self::Audit => "GET /v1/jobs/{request_id}/audit",
            Self::Tools => "GET /v1/tools",
            Self::Live => "GET /healthz",
            Self::Ready => "GET /readyz",
        }
    }

    /// The methods that the path takes, those of other functions included.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Jobs => "GET, POST",
            Self::Job | Self::Audit | Self::Tools | Self::Live | Self::Ready => "GET",
        }
    }
}

/// The route of a path, and the segment that the route leaves open.
pub(crate) fn find(path: &str) -> Option<(Route, &str)> {
    let fixed = match path {
        "/v1/jobs" => Some(Route::Jobs),
        "/v1/tools" => Some(Route::Tools),
        "/healthz" => Some(Route::Live),
        "/readyz" => Some(Route::Ready),
        _ => None,
    };
    if let Some(route) = fixed {
        return Some((route, ""));
    }
    let rest = path.strip_prefix("/v1/jobs/")?;
    let (route, id) = match rest.strip_suffix("/audit") {
        Some(id) => (Route::Audit, id),
        None => (Route::Job, rest),
    };
    (!id.is_empty() && !id.contains('/')).then_some((route, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_found_under_its_own_name() {
        for route in [Route::Jobs, Route::Job, Route::Audit, Route::Tools, Route::Live, Route::Ready] {
            let path = route.name().replace("GET ", "").replace("{request_id}", "some-id");
            let open = if route.name().contains("{request_id}") { "some-id" } else { "" };
            assert_eq!(find(&path), Some((route, open)));
        }
    }

    #[test]
    fn anything_else_is_nowhere() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/jobs/",
            "/v1/jobs//audit",
            "/v1/jobs/a/b",
            "/v1/jobs/a/audit/",
            "/v1/jobs/a/b/audit",
            "/v1/tools/",
            "/V1/jobs",
            "/healthz/x",
            "//healthz",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
    }
}
