//! What a start takes before anything else: the port and the data directory.

use std::{net::SocketAddr, path::Path};

use tokio::net::TcpListener;

use super::{Login, ServiceError};
use crate::{data::DataDir, emulation::listener};

/// Port and data directory, claimed before anything slow is started, so that a conflict is reported at once.
#[derive(Debug)]
pub struct Claim {
    pub(super) listener: TcpListener,
    /// The data directory.
    pub data: DataDir,
}

impl Claim {
    /// Binds the port, which `setting` changes, and locks the data directory. Refuses `--dev` on an address that other
    /// hosts can reach.
    pub async fn take(
        setting: &'static str,
        bind: SocketAddr,
        data: &Path,
        login: &Login,
    ) -> Result<Self, ServiceError> {
        match login {
            Login::Dev if !bind.ip().is_loopback() => return Err(ServiceError::DevBeyondLoopback),
            Login::Dev | Login::Wechat { .. } => {}
        }
        let data = DataDir::take(data)?;
        Ok(Self { listener: listener::bind(bind, setting).await?, data })
    }

    /// The webhook URL for a gateway on this host. `None` when the service does not listen on loopback: a wake-up token
    /// must not be sent over the network without TLS.
    pub fn webhook_url(&self) -> Option<String> {
        let address = listener::address(&self.listener);
        let is_here = address.ip().is_loopback() || address.ip().is_unspecified();
        is_here.then(|| format!("http://127.0.0.1:{}/v1/rings", address.port()))
    }
}
