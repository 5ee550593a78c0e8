//! status: every client read.

use lambda_http::Request;
use shared::{clock::World, config::StatusConfig, http::Answer};

/// The function, wired.
#[derive(Debug)]
pub struct Status {}

impl Status {
    /// Wires it.
    pub fn new(_config: StatusConfig, _world: World) -> Self {
        Self {}
    }

    /// Answers one request.
    pub async fn handle(&self, _request: Request) -> Answer {
        shared::http::no_content()
    }
}
