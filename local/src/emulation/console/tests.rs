use super::*;
use http::StatusCode;
use lambda_http::Body;

/// A directory that is deleted with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone_with_the_next_cleaning = std::fs::remove_dir_all(&self.0);
    }
}

/// A built console, and files around it that must not be served.
fn built() -> (Scratch, ConsoleOptions) {
    let root = Scratch(std::env::temp_dir().join(format!("console-{}", platform::runtime::Runtime::system().nonce())));
    let dir = root.path().join("dist");
    std::fs::create_dir_all(dir.join("assets")).unwrap();
    for (name, text) in [
        ("dist/index.html", "<!doctype html>"),
        ("dist/favicon.svg", "<svg/>"),
        ("dist/assets/index-abc.js", "1"),
        ("dist/assets/index-abc.css", "i{}"),
        ("dist/.secret", "hidden"),
        ("outside.txt", "outside"),
    ] {
        std::fs::write(root.path().join(name), text).unwrap();
    }
    (root, ConsoleOptions { dir, sign_in: None })
}

fn get(console: &Console, path: &str) -> Response {
    console.answer(&Method::GET, path).unwrap_or_else(|| panic!("{path} is not the console's"))
}

fn text(answer: &Response) -> String {
    match answer.body() {
        Body::Binary(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Body::Text(text) => text.clone(),
        _ => String::new(),
    }
}

#[test]
fn every_file_comes_with_its_type_and_is_kept_only_when_its_name_holds_its_content() {
    let (_root, options) = built();
    let console = Console::read(&options).unwrap();
    for (path, content_type, cache, body) in [
        ("/console/", "text/html; charset=utf-8", "no-cache", "<!doctype html>"),
        ("/console", "text/html; charset=utf-8", "no-cache", "<!doctype html>"),
        ("/console/index.html", "text/html; charset=utf-8", "no-cache", "<!doctype html>"),
        ("/console/favicon.svg", "image/svg+xml", "no-cache", "<svg/>"),
        ("/console/assets/index-abc.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "1"),
        ("/console/assets/index-abc.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable", "i{}"),
    ] {
        let answer = get(&console, path);
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["content-type"], content_type, "{path}");
        assert_eq!(answer.headers()["cache-control"], cache, "{path}");
        assert_eq!(text(&answer), body, "{path}");
    }
}

#[test]
fn no_path_leads_to_anything_but_a_file_of_the_page() {
    let (root, options) = built();
    std::os::unix::fs::symlink(root.path().join("outside.txt"), options.dir.join("link.txt")).unwrap();
    let console = Console::read(&options).unwrap();
    for path in [
        "/console/../outside.txt",
        "/console/%2e%2e/outside.txt",
        "/console/..%2foutside.txt",
        "/console/assets/../../outside.txt",
        "/console//etc/passwd",
        "/console/.secret",
        "/console/link.txt",
        "/console/assets",
        "/console/assets/",
        "/console/index.html/",
        "/console/nothing.js",
        "/console/\\..\\outside.txt",
    ] {
        let answer = get(&console, path);
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    for path in ["/", "/consoles", "/console.html", "/v1/jobs", "/Console/"] {
        assert!(console.answer(&Method::GET, path).is_none(), "{path}");
    }
}

#[test]
fn every_answer_carries_the_headers_that_shut_everything_else_out() {
    let (_root, options) = built();
    let console = Console::read(&options).unwrap();
    for path in ["/console/", "/console/assets/index-abc.js", "/console/config.json", "/console/nothing"] {
        let answer = get(&console, path);
        let headers = answer.headers();
        assert_eq!(
            headers["content-security-policy"],
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "{path}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
        assert!(!headers.contains_key("set-cookie"), "{path}");
    }
}

#[test]
fn the_provider_is_in_the_page_config_and_in_its_content_security_policy() {
    let (_root, options) = built();
    let plain = Console::read(&options).unwrap();
    assert_eq!(text(&get(&plain, "/console/config.json")), r#"{"token_hint":true}"#);

    let sign_in = SignIn::new("https://login.example.com/realms/ops", "console").unwrap();
    let console = Console::read(&ConsoleOptions { sign_in: Some(sign_in), ..options }).unwrap();
    let answer = get(&console, "/console/config.json");
    assert_eq!(answer.headers()["content-type"], "application/json");
    let config: serde_json::Value = domain::json::kept(text(&answer)).unwrap();
    let issuer = "https://login.example.com/realms/ops";
    assert_eq!(config, serde_json::json!({"client_id": "console", "issuer": issuer, "token_hint": false}));
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("connect-src 'self' https://login.example.com;"), "{policy}");
}

#[test]
fn what_no_browser_can_go_to_is_no_issuer() {
    for text in ["", "login.example.com", "data:text/html,x", "openclaw-miniprogram-local-operators"] {
        assert_eq!(SignIn::new(text, "console"), Err(NotAnIssuer), "{text}");
    }
}

#[test]
fn only_reading_is_answered() {
    let (_root, options) = built();
    let console = Console::read(&options).unwrap();
    let answer = console.answer(&Method::POST, "/console/").unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "GET, HEAD");
    let answer = console.answer(&Method::HEAD, "/console/").unwrap();
    assert_eq!((answer.status(), text(&answer).as_str()), (StatusCode::OK, ""));
}

#[test]
fn a_directory_that_holds_no_built_page_is_refused() {
    let (root, options) = built();
    let read = |dir: &str| Console::read(&ConsoleOptions { dir: root.path().join(dir), sign_in: None });
    assert!(matches!(read("dist/assets"), Err(ConsoleFault::NotBuilt { .. })));
    assert!(matches!(read("absent"), Err(ConsoleFault::Unreadable { .. })));
    std::fs::write(options.dir.join("large.bin"), vec![0; MAX_BYTES + 1]).unwrap();
    assert!(matches!(Console::read(&options), Err(ConsoleFault::TooLarge { .. })));
}
