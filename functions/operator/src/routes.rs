//! Which calls there are, and what each takes.

use domain::policy::OperatorAction;
use http::Method;

/// What a path leaves open: a support code, a user id, or a tool's name.
pub(crate) type Open<'a> = &'a str;

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident = $method:ident $path:literal $action:ident;)*) => {
        /// A call of this function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Route { $($(#[$doc])* $name,)* }

        impl Route {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// Method and path with placeholders, for logs: the name that route, file and test share.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => concat!(stringify!($method), " ", $path),)* }
            }

            const fn method(self) -> Method { match self { $(Self::$name => Method::$method,)* } }

            const fn path(self) -> &'static str { match self { $(Self::$name => $path,)* } }

            /// What an operator must be permitted to do.
            pub(crate) const fn action(self) -> OperatorAction {
                match self { $(Self::$name => OperatorAction::$action,)* }
            }
        }
    };
}

routes! {
    /// Who asks, and what they may do.
    Me = GET "/v1/operator/me" View;
    /// Names a user id as the operator's own.
    AddOwnUser = POST "/v1/operator/me/users" View;
    /// What waits for an operator's yes.
    Approvals = GET "/v1/operator/approvals" View;
    /// Jobs by state.
    Jobs = GET "/v1/operator/jobs" View;
    /// One job with its chain.
    Job = GET "/v1/operator/jobs/{job}" View;
    /// Says yes or no.
    Decide = POST "/v1/operator/jobs/{job}/approval" Decide;
    /// Says what became of an unknown job.
    Resolve = POST "/v1/operator/jobs/{job}/resolution" Administer;
    /// A user's jobs.
    UserJobs = GET "/v1/operator/users/{user_id}/jobs" View;
    /// Ends a user's sessions.
    Revoke = POST "/v1/operator/users/{user_id}/revocation" Administer;
    /// Puts a user into groups.
    Groups = PUT "/v1/operator/users/{user_id}/groups" Administer;
    /// What a user was refused.
    Refusals = GET "/v1/operator/users/{user_id}/refusals" View;
    /// Messages that no worker could handle.
    DeadLetters = GET "/v1/operator/dead-letters" View;
    /// Sends them again.
    Replay = POST "/v1/operator/dead-letters/replay" Administer;
    /// What is set.
    Controls = GET "/v1/operator/controls" View;
    /// Sets the service's mode.
    SetMode = PUT "/v1/operator/controls/mode" Administer;
    /// Sets a tool's mode.
    SetTool = PUT "/v1/operator/controls/tools/{name}" Administer;
    /// Opens or shuts a destructive tool.
    OpenTool = PUT "/v1/operator/controls/tools/{name}/opening" Administer;
    /// What operators did.
    Audit = GET "/v1/operator/audit" View;
    /// Signed statements about the audit log.
    Checkpoints = GET "/v1/operator/checkpoints" View;
    /// What is measured.
    Metrics = GET "/v1/operator/metrics" View;
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// To this call, with the segment that its path leaves open.
    Route(Route, Open<'a>),
    /// The path takes other methods: these.
    OtherMethods(String),
    /// Nowhere.
    Nothing,
}

/// Finds the call of a request.
pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let mut methods: Vec<&'static str> = Vec::new();
    for route in Route::ALL {
        let Some(open) = open(route.path(), path) else { continue };
        if route.method() == *method {
            return Found::Route(*route, open);
        }
        methods.push(route.name().split(' ').next().unwrap_or_default());
    }
    if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods.join(", ")) }
}

/// The segment that a written path leaves open, "" if none; `None` when it is another path.
fn open<'a>(written: &str, path: &'a str) -> Option<Open<'a>> {
    let (mut written, mut path) = (written.split('/'), path.split('/'));
    let mut open = "";
    loop {
        match (written.next(), path.next()) {
            (None, None) => return Some(open),
            (Some(expected), Some(segment)) if expected.starts_with('{') && !segment.is_empty() => open = segment,
            (Some(expected), Some(segment)) if expected == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_found_under_its_own_name() {
        for route in Route::ALL {
            let path: Vec<&str> = route.path().split('/').map(|s| if s.starts_with('{') { "x" } else { s }).collect();
            let open = if route.path().contains('{') { "x" } else { "" };
            assert_eq!(find(&route.method(), &path.join("/")), Found::Route(*route, open), "{}", route.name());
        }
    }

    #[test]
    fn another_method_is_told_which_the_path_takes() {
        assert_eq!(find(&Method::OPTIONS, "/v1/operator/me"), Found::OtherMethods("GET".to_owned()));
        assert_eq!(find(&Method::DELETE, "/v1/operator/controls/mode"), Found::OtherMethods("PUT".to_owned()));
    }

    #[test]
    fn anything_else_is_nowhere() {
        for path in [
            "",
            "/v1/operator",
            "/v1/operator/",
            "/v1/operator/jobs/",
            "/v1/operator/jobs//approval",
            "/v1/operator/jobs/x/y",
            "/v1/operator/me/",
            "/V1/operator/me",
            "//v1/operator/me",
        ] {
            assert_eq!(find(&Method::GET, path), Found::Nothing, "{path}");
        }
    }
}
