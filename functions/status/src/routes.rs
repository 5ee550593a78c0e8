//! Which paths there are.

/// A path of this function. All of them take GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// A user's jobs.
    Jobs,
    /// One of them, by its id.
    Job(&'a str),
    /// One of its steps, by its place.
    Step(&'a str, &'a str),
    /// Its audit chain.
    Audit(&'a str),
    /// A user's conversations.
    Conversations,
    /// What the user may call.
    Tools,
    /// Whom the user may talk to.
    Agents,
    /// Whether the process answers.
    Live,
    /// Whether the service works.
    Ready,
}

impl<'a> Route<'a> {
    /// The route of a path, with the segments that it leaves open.
    pub(crate) fn find(path: &'a str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match *segments.as_slice() {
            ["v1", "jobs"] => Some(Self::Jobs),
            ["v1", "jobs", id] if !id.is_empty() => Some(Self::Job(id)),
            ["v1", "jobs", id, "steps", place] if !id.is_empty() && !place.is_empty() => Some(Self::Step(id, place)),
            ["v1", "jobs", id, "audit"] if !id.is_empty() => Some(Self::Audit(id)),
            ["v1", "conversations"] => Some(Self::Conversations),
            ["v1", "tools"] => Some(Self::Tools),
            ["v1", "agents"] => Some(Self::Agents),
            ["healthz"] => Some(Self::Live),
            ["readyz"] => Some(Self::Ready),
            _ => None,
        }
    }

    /// Method and path with placeholders, for logs: the name that route, file and test share.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "GET /v1/jobs",
            Self::Job(_) => "GET /v1/jobs/{request_id}",
            Self::Step(..) => "GET /v1/jobs/{request_id}/steps/{place}",
            Self::Audit(_) => "GET /v1/jobs/{request_id}/audit",
            Self::Conversations => "GET /v1/conversations",
            Self::Tools => "GET /v1/tools",
            Self::Agents => "GET /v1/agents",
            Self::Live => "GET /healthz",
            Self::Ready => "GET /readyz",
        }
    }

    /// The methods that the path takes, those of other functions included.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Jobs => "GET, POST",
            Self::Job(_)
            | Self::Step(..)
            | Self::Audit(_)
            | Self::Conversations
            | Self::Tools
            | Self::Agents
            | Self::Live
            | Self::Ready => "GET",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_found_under_its_own_name() {
        for route in [
            Route::Jobs,
            Route::Job("some-id"),
            Route::Step("some-id", "7"),
            Route::Audit("some-id"),
            Route::Conversations,
            Route::Tools,
            Route::Agents,
            Route::Live,
            Route::Ready,
        ] {
            let path = route.name().replace("GET ", "").replace("{request_id}", "some-id").replace("{place}", "7");
            assert_eq!(Route::find(&path), Some(route));
        }
    }

    #[test]
    fn anything_else_is_nowhere() {
        for path in [
            "",
            "/",
            "/v1",
            "v1/jobs",
            "/v1/jobs/",
            "/v1/jobs//audit",
            "/v1/jobs/a/b",
            "/v1/jobs/a/audit/",
            "/v1/jobs/a/b/audit",
            "/v1/jobs/a/steps",
            "/v1/jobs/a/steps/",
            "/v1/jobs//steps/0",
            "/v1/jobs/a/steps/0/",
            "/v1/jobs/a/steps/0/result",
            "/v1/conversations/",
            "/v1/conversations/a",
            "/v1/tools/",
            "/v1/agents/main",
            "/V1/jobs",
            "/healthz/x",
            "//healthz",
        ] {
            assert_eq!(Route::find(path), None, "{path}");
        }
    }
}
