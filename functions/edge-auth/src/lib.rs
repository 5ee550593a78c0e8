//! edge-auth: every client write. See the module docs of each use case.

use lambda_http::Request;
use shared::{clock::World, config::EdgeAuthConfig, http::Answer};

/// The function, wired.
#[derive(Debug)]
pub struct EdgeAuth {}

impl EdgeAuth {
    /// Wires it; builds every client once.
    pub fn new(_config: EdgeAuthConfig, _world: World) -> Self {
        Self {}
    }

    /// Answers one request.
    pub async fn handle(&self, _request: Request) -> Answer {
        shared::http::no_content()
    }
}
