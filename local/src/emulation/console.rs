//! The operator's page: files that are read once, and served under `/console/` with headers that leave a browser little to do
//! but show them and ask this origin.
//!
//! A request never touches the disk: it names an entry of a map, or nothing. So there is no path to walk out of.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use http::{HeaderName, Method, header};
use platform::http::{self as answers, ApiError, Code, Response};
use reqwest::Url;
use serde::Serialize;

/// Where the page is.
const ROOT: &str = "/console";
/// What `/console/` itself is.
const INDEX: &str = "index.html";
/// How the page learns how to sign in.
const CONFIG: &str = "config.json";
/// Vite names what is here after its content.
const HASHED: &str = "assets/";
/// Together the files may be as large as this: they are kept in memory.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// No deeper than this.
const MAX_DEPTH: usize = 4;

/// How operators sign in with their organisation's provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    issuer: String,
    origin: String,
    client_id: String,
}

impl SignIn {
    /// `issuer` is the provider's, as its tokens name it; `client_id` the id under which the provider knows the console.
    pub fn new(issuer: &str, client_id: &str) -> Result<Self, NotAnIssuer> {
        let origin = Url::parse(issuer).map(|url| url.origin()).ok().filter(|origin| origin.is_tuple());
        let origin = origin.ok_or(NotAnIssuer)?.ascii_serialization();
        Ok(Self { issuer: issuer.to_owned(), origin, client_id: client_id.to_owned() })
    }
}

/// No browser can go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer must be a URL for operators to sign in there")]
pub struct NotAnIssuer;

/// Where the page comes from, and how one signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// A directory that `npm run build` has filled.
    pub dir: PathBuf,
    /// Without a provider a token is pasted.
    pub sign_in: Option<SignIn>,
}

/// A page that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleFault {
    /// A file or a directory.
    #[error("the console's {path} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a built page.
    #[error("{path} holds no index.html; build the console with scripts/console.sh build")]
    NotBuilt {
        /// Where.
        path: PathBuf,
    },
    /// Not only a built page.
    #[error("{path} holds more than 16 MiB, or nests deeper than a built console does")]
    TooLarge {
        /// Where.
        path: PathBuf,
    },
}

#[derive(Debug)]
struct File {
    content_type: &'static str,
    bytes: Vec<u8>,
}

/// The page, in memory.
#[derive(Debug)]
pub struct Console {
    files: BTreeMap<String, File>,
    config: Config,
    content_security_policy: String,
}

/// `config.json`.
#[derive(Debug, Serialize)]
struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Whether `local operator token` mints what this service takes.
    token_hint: bool,
}

impl Console {
    /// Reads every file there is. Links and hidden files are left out.
    pub fn read(options: &ConsoleOptions) -> Result<Self, ConsoleFault> {
        let mut files = BTreeMap::new();
        let mut left = MAX_BYTES;
        collect(&options.dir, "", 0, &mut left, &mut files)?;
        if !files.contains_key(INDEX) {
            return Err(ConsoleFault::NotBuilt { path: options.dir.clone() });
        }
        let sign_in = options.sign_in.as_ref();
        let config = Config {
            issuer: sign_in.map(|sign_in| sign_in.issuer.clone()),
            client_id: sign_in.map(|sign_in| sign_in.client_id.clone()),
            token_hint: sign_in.is_none(),
        };
        Ok(Self { files, config, content_security_policy: policy(sign_in) })
    }

    /// The answer to a request, if its path is one of the page's.
    pub fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        let name = path.strip_prefix(ROOT)?;
        let name = match name.strip_prefix('/') {
            Some("") => INDEX,
            Some(name) => name,
            None if name.is_empty() => INDEX,
            None => return None,
        };
        let mut answer = match *method {
            Method::GET | Method::HEAD => self.file(name),
            _ => ApiError::other_method("GET, HEAD").into_response(),
        };
        if method == Method::HEAD {
            *answer.body_mut() = lambda_http::Body::Empty;
        }
        answers::set(&mut answer, header::CONTENT_SECURITY_POLICY, &self.content_security_policy);
        for (header, value) in HEADERS {
            answers::set(&mut answer, header.clone(), value);
        }
        Some(answer)
    }

    fn file(&self, name: &str) -> Response {
        if name == CONFIG {
            return answers::ok(&self.config);
        }
        let Some(file) = self.files.get(name) else { return ApiError::new(Code::NotFound).into_response() };
        // What has its content in its name never changes under it. Everything else is asked for again.
        let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
        answers::file(file.content_type, cache, file.bytes.clone())
    }
}

/// What is the same for every answer.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Scripts, styles and requests of this origin, and requests to the provider where there is one. Nothing else; no frames.
fn policy(sign_in: Option<&SignIn>) -> String {
    let provider = sign_in.map(|sign_in| format!(" {}", sign_in.origin)).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{provider}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn collect(
    dir: &Path,
    prefix: &str,
    depth: usize,
    left: &mut usize,
    files: &mut BTreeMap<String, File>,
) -> Result<(), ConsoleFault> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ConsoleFault::Unreadable { path, source }
    };
    for entry in std::fs::read_dir(dir).map_err(unreadable(dir))? {
        let entry = entry.map_err(unreadable(dir))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().map_err(unreadable(&path))?;
        if name.starts_with('.') || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            if depth == MAX_DEPTH {
                return Err(ConsoleFault::TooLarge { path });
            }
            collect(&path, &format!("{prefix}{name}/"), depth + 1, left, files)?;
        } else {
            let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
            *left = left.checked_sub(bytes.len()).ok_or_else(|| ConsoleFault::TooLarge { path: dir.to_owned() })?;
            files.insert(format!("{prefix}{name}"), File { content_type: content_type(&name), bytes });
        }
    }
    Ok(())
}

/// What a browser makes of a file. With `nosniff`, an unknown one is nothing that runs.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
