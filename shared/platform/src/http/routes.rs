//! The routes of the public API: the only list of methods and paths. `local` routes by this list as API Gateway does
//! in the cloud, and tests compare `openapi.yaml`, `template.yaml` and the router of `cargo lambda watch` with it.

use std::{collections::BTreeSet, sync::LazyLock};

use domain::policy::OperatorAction;
use lambda_http::{Request, RequestExt};
use matchit::Router;

use crate::http::{ApiError, Code};

/// A function behind HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Every client write.
    EdgeAuth,
    /// Every client read.
    Status,
    /// Every call of an operator.
    Operator,
}

/// One route. `{name}` in its path matches one non-empty segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path pattern.
    pub path: &'static str,
    /// Method and path, as logs and metrics name the route.
    pub name: &'static str,
    /// The call that the route makes.
    pub call: Call,
}

/// A call, by the function that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A write of a client.
    EdgeAuth(EdgeCall),
    /// A read of a client.
    Status(StatusCall),
    /// A call of an operator.
    Operator(OperatorCall),
}

impl Route {
    /// The function that answers the call.
    pub const fn function(&self) -> Function {
        match self.call {
            Call::EdgeAuth(_) => Function::EdgeAuth,
            Call::Status(_) => Function::Status,
            Call::Operator(_) => Function::Operator,
        }
    }
}

macro_rules! routes {
    ($($(#[$about:meta])* $function:ident as $calls:ident {
        $($(#[$doc:meta])* $name:ident = $method:ident $path:literal;)*
    })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $calls { $($(#[$doc])* $name,)* }

            impl $calls {
                /// Method and path, as logs and metrics name the route.
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$name => concat!(stringify!($method), " ", $path),)* }
                }
            }

            impl FunctionCall for $calls {
                fn of(call: Call) -> Option<Self> {
                    if let Call::$function(call) = call { Some(call) } else { None }
                }
            }
        )*

        /// Every route.
        pub const ROUTES: &[Route] = &[$($(Route {
            method: stringify!($method),
            path: $path,
            name: $calls::$name.name(),
            call: Call::$function($calls::$name),
        },)*)*];
    };
}

/// The calls of one function.
pub trait FunctionCall: Sized {
    /// The call, if it is one of this function.
    fn of(call: Call) -> Option<Self>;
}

routes! {
    /// Writes of a client.
    EdgeAuth as EdgeCall {
        /// Exchange a login code for a session.
        LogIn = POST "/v1/sessions";
        /// End every session of the user.
        LogOut = DELETE "/v1/sessions";
        /// Submit a job.
        Submit = POST "/v1/jobs";
        /// Approve or reject the call that a job waits with.
        Approval = POST "/v1/jobs/{request_id}/approval";
        /// Cancel a job.
        Cancel = POST "/v1/jobs/{request_id}/cancel";
        /// Delete a conversation.
        EndConversation = DELETE "/v1/conversations/{conversation}";
        /// Erase the user.
        Erase = DELETE "/v1/users/me";
        /// The user has accepted templates of messages.
        Notifications = POST "/v1/notifications";
        /// Webhook of the gateway's journal: a turn has progress to show.
        Wake = POST "/v1/rings";
        /// WeChat's console verifies the URL of pushed messages.
        VerifyUrl = GET "/v1/wechat/events";
        /// A message that WeChat pushes.
        WechatEvent = POST "/v1/wechat/events";
    }
    /// Reads of a client.
    Status as StatusCall {
        /// A user's jobs.
        Jobs = GET "/v1/jobs";
        /// One job.
        Job = GET "/v1/jobs/{request_id}";
        /// One step of a job, by its index.
        Step = GET "/v1/jobs/{request_id}/steps/{place}";
        /// A job's audit chain.
        Audit = GET "/v1/jobs/{request_id}/audit";
        /// A user's conversations.
        Conversations = GET "/v1/conversations";
        /// What is stored about the user.
        Export = GET "/v1/users/me/export";
        /// The tools that the user may call.
        Tools = GET "/v1/tools";
        /// The agents that the user may talk to.
        Agents = GET "/v1/agents";
        /// Whether the process answers.
        Live = GET "/healthz";
        /// Whether the service works.
        Ready = GET "/readyz";
    }
    /// Calls of an operator.
    Operator as OperatorCall {
        /// The operator who calls, and their permissions.
        Me = GET "/v1/operator/me";
        /// Name a user id as the operator's own.
        AddOwnUser = POST "/v1/operator/me/users";
        /// The approval requests that operators decide.
        Approvals = GET "/v1/operator/approvals";
        /// The texts that content safety holds for operators.
        HeldTexts = GET "/v1/operator/held-texts";
        /// Jobs by state.
        Jobs = GET "/v1/operator/jobs";
        /// One job with its audit chain.
        Job = GET "/v1/operator/jobs/{job}";
        /// Approve or reject.
        Decide = POST "/v1/operator/jobs/{job}/approval";
        /// The held text of a job.
        HeldText = GET "/v1/operator/jobs/{job}/held-text";
        /// Let a held text pass, or refuse it.
        DecideText = POST "/v1/operator/jobs/{job}/held-text";
        /// Record the outcome of an unknown job.
        Resolve = POST "/v1/operator/jobs/{job}/resolution";
        /// A user's jobs.
        UserJobs = GET "/v1/operator/users/{user_id}/jobs";
        /// End a user's sessions.
        Revoke = POST "/v1/operator/users/{user_id}/revocation";
        /// Set a user's groups.
        Groups = PUT "/v1/operator/users/{user_id}/groups";
        /// The calls that a user was refused.
        Refusals = GET "/v1/operator/users/{user_id}/refusals";
        /// The erasures of users.
        Erasures = GET "/v1/operator/erasures";
        /// The number of messages that no worker could process.
        DeadLetters = GET "/v1/operator/dead-letters";
        /// The service mode and the switches of the tools.
        Controls = GET "/v1/operator/controls";
        /// Set the service mode.
        SetMode = PUT "/v1/operator/controls/mode";
        /// Set the mode of one tool.
        SetTool = PUT "/v1/operator/controls/tools/{name}";
        /// Unlock a destructive tool for some minutes, or lock it again.
        OpenTool = PUT "/v1/operator/controls/tools/{name}/opening";
        /// The audit chain of what operators did.
        Audit = GET "/v1/operator/audit";
        /// The signed checkpoints of the audit chains.
        Checkpoints = GET "/v1/operator/checkpoints";
        /// Charts.
        Metrics = GET "/v1/operator/metrics";
    }
}

impl OperatorCall {
    /// The action that policies have to permit to the operator.
    pub const fn action(self) -> OperatorAction {
        match self {
            // The text itself is shown only to an operator who may decide about it.
            Self::Decide | Self::HeldText | Self::DecideText => OperatorAction::Decide,
            Self::Resolve | Self::Revoke | Self::Groups | Self::SetMode | Self::SetTool | Self::OpenTool => {
                OperatorAction::Administer
            }
            Self::Me
            | Self::AddOwnUser
            | Self::Approvals
            | Self::HeldTexts
            | Self::Jobs
            | Self::Job
            | Self::UserJobs
            | Self::Refusals
            | Self::Erasures
            | Self::DeadLetters
            | Self::Controls
            | Self::Audit
            | Self::Checkpoints
            | Self::Metrics => OperatorAction::View,
        }
    }
}

/// The segments of a path that match its route's parameters, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParameters<'a>(Vec<(&'static str, &'a str)>);

impl<'a> PathParameters<'a> {
    /// The segment of this parameter as it was sent; empty if the route has no such parameter.
    pub fn text(&self, name: &str) -> &'a str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Names and segments.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        self.0.iter().copied()
    }
}

/// Outcome of looking a request up.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The route, and the segments of its parameters.
    Route(&'static Route, PathParameters<'a>),
    /// The path exists with these other methods, in alphabetical order.
    OtherMethods(String),
    /// No route has this path.
    Nothing,
}

/// The routes of each path.
static BY_PATH: LazyLock<Router<Vec<&'static Route>>> = LazyLock::new(|| {
    let mut router = Router::new();
    for path in ROUTES.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
        let routes = ROUTES.iter().filter(|route| route.path == path).collect();
        // Only a conflict of two paths fails here, which is a fault of the list above; the test that finds every
        // route detects it.
        drop(router.insert(path, routes));
    }
    router
});

/// Finds the route of a request. The path is compared as it was sent, without decoding.
pub fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    let Ok(matched) = BY_PATH.at(path) else { return Found::Nothing };
    // `matchit` lets a parameter in the middle of a path be empty.
    if matched.params.iter().any(|(_, segment)| segment.is_empty()) {
        return Found::Nothing;
    }
    match matched.value.iter().find(|route| route.method == method) {
        Some(route) => {
            let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let open = names.filter_map(|name| Some((name, matched.params.get(name)?)));
            Found::Route(route, PathParameters(open.collect()))
        }
        None => Found::OtherMethods(methods(matched.value)),
    }
}

fn methods(routes: &[&'static Route]) -> String {
    let methods: BTreeSet<&str> = routes.iter().map(|route| route.method).collect();
    methods.into_iter().collect::<Vec<_>>().join(", ")
}

/// A request at the function that answers it.
#[derive(Debug)]
pub struct Routed<'a, C> {
    /// What it calls.
    pub call: C,
    /// Method and path of its route.
    pub name: &'static str,
    /// The segments of the route's parameters.
    pub open: PathParameters<'a>,
}

/// Finds the call of a request to a function. A route of another function is reported as another method (405), since
/// the path exists.
pub fn route<C: FunctionCall>(request: &Request) -> Result<Routed<'_, C>, ApiError> {
    // The path as it was sent: the URI parser resolves `..`, which would match another route than in API Gateway.
    let raw = request.raw_http_path();
    let path = if raw.is_empty() { request.uri().path() } else { raw };
    match find(request.method().as_str(), path) {
        Found::Route(route, open) => match C::of(route.call) {
            Some(call) => Ok(Routed { call, name: route.name, open }),
            None => {
                Err(ApiError::other_method(BY_PATH.at(path).map_or_else(|_| String::new(), |at| methods(at.value))))
            }
        },
        Found::OtherMethods(methods) => Err(ApiError::other_method(methods)),
        Found::Nothing => Err(ApiError::new(Code::NotFound)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_under_its_own_method_and_path() {
        for route in ROUTES {
            let name = |part: &'static str| part.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let open: Vec<_> = route.path.split('/').filter_map(name).map(|name| (name, "some-id")).collect();
            let path: Vec<&str> = route.path.split('/').map(|part| name(part).map_or(part, |_| "some-id")).collect();
            assert_eq!(
                find(route.method, &path.join("/")),
                Found::Route(route, PathParameters(open)),
                "{}",
                route.name
            );
        }
    }

    #[test]
    fn a_known_path_with_another_method_names_the_methods_it_takes() {
        for (path, methods) in [
            ("/v1/jobs", "GET, POST"),
            ("/v1/sessions", "DELETE, POST"),
            ("/v1/jobs/x/cancel", "POST"),
            ("/v1/conversations/x", "DELETE"),
            ("/v1/operator/controls/mode", "PUT"),
            ("/healthz", "GET"),
        ] {
            assert_eq!(find("PATCH", path), Found::OtherMethods(methods.to_owned()), "{path}");
        }
        assert_eq!(find("get", "/healthz"), Found::OtherMethods("GET".to_owned()));
    }

    #[test]
    fn a_route_of_another_function_is_another_method() {
        let mut request = Request::new(lambda_http::Body::Empty);
        *request.uri_mut() = http::Uri::from_static("/v1/jobs");
        let error = route::<EdgeCall>(&request).expect_err("GET /v1/jobs is answered by status");
        assert_eq!(error.into_response().headers()["allow"], "GET, POST");
    }

    #[test]
    fn any_other_path_is_not_found() {
        for path in [
            "",
            "/",
            "*",
            "/v1",
            "v1/jobs",
            "/V1/jobs",
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
            "/v1/tools/",
            "/v1/agents/main",
            "/healthz/",
            "/healthz/x",
            "//healthz",
            "/v1/operator",
            "/v1/operator/",
            "/v1/operator/me/",
            "/v1/operator/jobs/",
            "/v1/operator/jobs//approval",
            "/v1/operator/jobs/x/y",
            "//v1/operator/me",
        ] {
            assert_eq!(find("GET", path), Found::Nothing, "{path}");
        }
    }
}
