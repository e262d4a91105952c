//! The same pages on a socket of this machine, for the command line: whoever runs the site, and root, are let in without a
//! login.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use axum::{
    Extension, Router,
    middleware::map_response,
    response::{IntoResponse as _, Response},
    serve::Listener,
};
use tokio::net::{UnixListener, UnixStream, unix::SocketAddr};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{WebState, page::Sentence, router, user::Local};

/// Path of the socket of a site, beside its configuration.
pub fn path(config: &Path) -> PathBuf {
    config.with_extension("sock")
}

/// Answers on the socket until `stop`. A site whose socket cannot be made runs without it.
pub async fn answer(path: &Path, state: WebState, stop: CancellationToken) {
    let listener = match bind(path) {
        Ok(listener) => listener,
        Err(reason) => {
            warn!(
                "the command line cannot reach this site, {} cannot be made: {reason}",
                path.display()
            );
            return;
        }
    };
    let app: Router = router(state).layer(map_response(speak)).layer(Extension(Local));
    let served = axum::serve(Own(listener), app).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(reason) = served.await {
        warn!("the command line can no longer reach this site: {reason}");
    }
    // Whoever comes next makes it anew in any case.
    fs::remove_file(path).ok();
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // What an earlier run has left; the lock of the store sees to it that no other one runs.
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::other("there is something else of that name")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// What is not for browsers is said in words.
async fn speak(response: Response) -> Response {
    match response.extensions().get::<Sentence>() {
        Some(Sentence(said)) => (response.status(), said.to_string()).into_response(),
        None => response,
    }
}

/// A socket that takes connections of its own user, and of root, alone.
struct Own(UnixListener);

impl Listener for Own {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => match stream.peer_cred() {
                    Ok(who)
                        if who.uid() == 0 || who.uid() == rustix::process::geteuid().as_raw() =>
                    {
                        return (stream, address);
                    }
                    _ => debug!("somebody else was sent away from the socket of the command line"),
                },
                Err(reason) => {
                    debug!("no connection was taken on the socket of the command line: {reason}");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
