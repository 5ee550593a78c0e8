//! Which function gets which route: what the API gateway's configuration says in the cloud.

/// A function behind HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Every client write.
    EdgeAuth,
    /// Every client read.
    Status,
    /// Everything of the operators.
    Operator,
}

/// One route. `{name}` in a path stands for one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Who answers.
    pub function: Function,
}

const fn route(method: &'static str, path: &'static str, function: Function) -> Route {
    Route { method, path, function }
}

/// Every route there is.
pub const ROUTES: &[Route] = &[
    route("POST", "/v1/sessions", Function::EdgeAuth),
    route("DELETE", "/v1/sessions", Function::EdgeAuth),
    route("POST", "/v1/jobs", Function::EdgeAuth),
    route("POST", "/v1/jobs/{request_id}/approval", Function::EdgeAuth),
    route("POST", "/v1/jobs/{request_id}/cancel", Function::EdgeAuth),
    route("DELETE", "/v1/conversations/{conversation}", Function::EdgeAuth),
    route("POST", "/v1/rings", Function::EdgeAuth),
    route("GET", "/v1/jobs", Function::Status),
    route("GET", "/v1/jobs/{request_id}", Function::Status),
    route("GET", "/v1/jobs/{request_id}/steps/{place}", Function::Status),
    route("GET", "/v1/jobs/{request_id}/audit", Function::Status),
    route("GET", "/v1/conversations", Function::Status),
    route("GET", "/v1/tools", Function::Status),
    route("GET", "/v1/agents", Function::Status),
    route("GET", "/healthz", Function::Status),
    route("GET", "/readyz", Function::Status),
    route("GET", "/v1/operator/me", Function::Operator),
    route("POST", "/v1/operator/me/users", Function::Operator),
    route("GET", "/v1/operator/approvals", Function::Operator),
    route("GET", "/v1/operator/jobs", Function::Operator),
    route("GET", "/v1/operator/jobs/{job}", Function::Operator),
    route("POST", "/v1/operator/jobs/{job}/approval", Function::Operator),
    route("POST", "/v1/operator/jobs/{job}/resolution", Function::Operator),
    route("GET", "/v1/operator/users/{user_id}/jobs", Function::Operator),
    route("POST", "/v1/operator/users/{user_id}/revocation", Function::Operator),
    route("PUT", "/v1/operator/users/{user_id}/groups", Function::Operator),
    route("GET", "/v1/operator/users/{user_id}/refusals", Function::Operator),
    route("GET", "/v1/operator/dead-letters", Function::Operator),
    route("POST", "/v1/operator/dead-letters/replay", Function::Operator),
    route("GET", "/v1/operator/controls", Function::Operator),
    route("PUT", "/v1/operator/controls/mode", Function::Operator),
    route("PUT", "/v1/operator/controls/tools/{name}", Function::Operator),
    route("PUT", "/v1/operator/controls/tools/{name}/opening", Function::Operator),
    route("GET", "/v1/operator/audit", Function::Operator),
    route("GET", "/v1/operator/checkpoints", Function::Operator),
    route("GET", "/v1/operator/metrics", Function::Operator),
];

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// To this route, with the segments that its path leaves open.
    Route(&'static Route, Vec<(&'static str, &'a str)>),
    /// The path is known, but only for these methods.
    OtherMethods(Vec<&'static str>),
    /// Nowhere.
    Nothing,
}

/// Finds the route of a request.
pub fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    let mut methods = Vec::new();
    for route in ROUTES {
        let Some(open) = matches(route.path, path) else { continue };
        if route.method == method {
            return Found::Route(route, open);
        }
        methods.push(route.method);
    }
    if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods) }
}

fn matches<'a>(pattern: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut open = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(open),
            (Some(expected), Some(segment)) => {
                match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) if !segment.is_empty() => open.push((name, segment)),
                    None if expected == segment => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_under_its_own_method_and_path() {
        for route in ROUTES {
            let segments = route.path.split('/');
            let name = |segment: &'static str| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let open: Vec<_> = segments.clone().filter_map(name).map(|name| (name, "some-id")).collect();
            let path: Vec<&str> = segments.map(|segment| name(segment).map_or(segment, |_| "some-id")).collect();
            assert_eq!(find(route.method, &path.join("/")), Found::Route(route, open));
        }
    }

    #[test]
    fn a_known_path_with_another_method_names_the_methods_it_takes() {
        assert_eq!(find("PUT", "/v1/jobs"), Found::OtherMethods(vec!["POST", "GET"]));
        assert_eq!(find("GET", "/v1/jobs/x/cancel"), Found::OtherMethods(vec!["POST"]));
        assert_eq!(find("get", "/healthz"), Found::OtherMethods(vec!["GET"]));
    }

    #[test]
    fn anything_else_goes_nowhere() {
        for path in
            ["/", "", "/v1", "/v1/jobs/", "/v1/jobs//audit", "/v1/jobs/x/y", "//healthz", "/healthz/", "/V1/jobs", "*"]
        {
            assert_eq!(find("GET", path), Found::Nothing, "{path}");
        }
    }
}
