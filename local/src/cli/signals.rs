//! Ctrl-C and SIGTERM: the first stops in order, the second at once.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Signals that the command has to stop.
#[derive(Debug, Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Starts listening.
    pub(super) fn listen() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            for count in 1.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if count == 2 {
                    // The gateway's script sees its pipe close, and stops the gateway.
                    std::process::exit(130);
                }
                tell.send_replace(true);
            }
        });
        Ok(Self(told))
    }

    /// Waits for the first signal.
    pub(super) async fn asked(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
