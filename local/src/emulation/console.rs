//! The operator's console: files that are read once at start and served under `/console/`, with headers that let the
//! browser only show them and send requests to this origin.
//!
//! A request never reads the disk: its path is looked up in a map. So path traversal is impossible.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use http::{HeaderName, Method, header};
use platform::http::{self as answers, ApiError, Code, Response};
use reqwest::Url;
use serde::Serialize;

/// Path of the console.
const ROOT: &str = "/console";
/// The file that `/console/` returns.
const INDEX: &str = "index.html";
/// The file that tells the console how operators sign in.
const CONFIG: &str = "config.json";
/// Files below this have a hash of their content in their name (Vite).
const HASHED: &str = "assets/";
/// Limit of the files' total size, because they are kept in memory.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Limit of nested directories.
const MAX_DEPTH: usize = 4;

/// Sign-in with the organisation's identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    issuer: String,
    origin: String,
    client_id: String,
}

impl SignIn {
    /// `issuer` is the provider's, as its tokens name it; `client_id` is the console's id at the provider.
    pub fn new(issuer: &str, client_id: &str) -> Result<Self, NotAnIssuer> {
        let origin = Url::parse(issuer).map(|url| url.origin()).ok().filter(|origin| origin.is_tuple());
        let origin = origin.ok_or(NotAnIssuer)?.ascii_serialization();
        Ok(Self { issuer: issuer.to_owned(), origin, client_id: client_id.to_owned() })
    }
}

/// The issuer is no URL that a browser can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer must be a URL for operators to sign in there")]
pub struct NotAnIssuer;

/// The console's files, and how operators sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// A directory that `npm run build` has written.
    pub dir: PathBuf,
    /// Without a provider operators paste a token.
    pub sign_in: Option<SignIn>,
}

/// The console cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleFault {
    /// A file or directory cannot be read.
    #[error("the console's {path} cannot be read")]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The directory is no built console.
    #[error("{path} holds no index.html; build the console with scripts/dev/console.sh build")]
    NotBuilt {
        /// The directory.
        path: PathBuf,
    },
    /// The directory contains more than a built console.
    #[error("{path} holds more than 16 MiB, or nests deeper than a built console does")]
    TooLarge {
        /// The directory.
        path: PathBuf,
    },
}

#[derive(Debug)]
struct File {
    content_type: &'static str,
    bytes: Vec<u8>,
}

/// The console's files, in memory.
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
    /// Whether tokens of `local operator token` are accepted, so that the console may mention it.
    token_hint: bool,
}

impl Console {
    /// Reads every file. Links and hidden files are left out, so that nothing outside the directory is served.
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

    /// The response to a request whose path belongs to the console; otherwise `None`.
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
        // A file with a hash in its name never changes, so it is cached for ever. Everything else is revalidated.
        let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
        answers::file(file.content_type, cache, file.bytes.clone())
    }
}

/// Headers that every response has.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The content security policy: scripts, styles and requests of this origin, and requests to the provider if there is
/// one; no frames.
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

/// The media type of a file. With `nosniff`, a file of unknown type is never run as a script.
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
