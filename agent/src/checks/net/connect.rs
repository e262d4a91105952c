//! A connection to the first address that takes one.

use std::{fmt, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{net::TcpStream, time::sleep};

use super::io_words;

/// Head start of one address before the next is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried.
const MOST: usize = 16;

/// No address of a host took a connection.
#[derive(Debug)]
pub(crate) struct ConnectError(Vec<(SocketAddr, io::Error)>);

/// Connects to the first address that answers. The families take turns, and an address that is silent does not hold up
/// the next. Without a limit of its own: the system gives up after minutes, the caller before.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut waiting = alternate(addresses).into_iter().take(MOST);
    let mut tries = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            tries.push(async move { (address, TcpStream::connect(address).await) });
        }
        if tries.is_empty() {
            return Err(ConnectError(failed));
        }
        tokio::select! {
            Some((address, answer)) = tries.next() => match answer {
                Ok(stream) => {
                    // Without it a small request may wait for an acknowledgement; the connection works all the same.
                    stream.set_nodelay(true).ok();
                    return Ok(stream);
                }
                Err(error) => failed.push((address, error)),
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

impl std::error::Error for ConnectError {}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot connect to ")?;
        for (nth, (address, error)) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            write!(f, "{comma}{address}: {}", io_words(error))?;
        }
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if !self.0.is_empty() && self.0.iter().all(|(_, error)| refused(error)) {
            f.write_str(" (nothing listens there)")?;
        }
        Ok(())
    }
}

/// The addresses, the families in turn, beginning with that of the first.
fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_six);
    let mut second = second.into_iter();
    let mut all = Vec::with_capacity(addresses.len());
    for address in first {
        all.push(address);
        all.extend(second.next());
    }
    all.extend(second);
    all
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::Instant};

    use super::*;

    /// An address that lets every connection wait: its queue is full.
    struct BlackHole {
        address: SocketAddr,
        _listener: TcpListener,
        _queued: Vec<TcpStream>,
    }

    async fn black_hole() -> BlackHole {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(0).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            queued.push(stream);
        }
        BlackHole { address, _listener: listener, _queued: queued }
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let silent = black_hole().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let good = listener.local_addr().expect("its address");
        let began = Instant::now();
        let stream = connect(&[silent.address, good]).await.expect("the second");
        assert_eq!(stream.peer_addr().expect("a peer"), good);
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn all_refusals_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let closed = listener.local_addr().expect("its address");
        drop(listener);
        let error = connect(&[closed, closed]).await.expect_err("refused");
        let one = format!("{closed}: connection refused");
        let text = format!("cannot connect to {one}, {one} (nothing listens there)");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn families_take_turns() {
        let [a, b, c, d] = ["[::1]:1", "[::1]:2", "[::1]:3", "127.0.0.1:4"]
            .map(|text| text.parse::<SocketAddr>().expect(text));
        assert_eq!(alternate(&[a, b, c, d]), [a, d, b, c]);
        assert_eq!(alternate(&[d, a, b]), [d, a, b]);
        assert_eq!(alternate(&[]), []);
    }
}
