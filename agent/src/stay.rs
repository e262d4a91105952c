//! Parts of a site that go on for as long as it runs, whatever happens in them.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::time::{Instant, sleep};
use tracing::error;

/// Pause after the first time that a part broke down; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);

/// Longest pause. A part that went on for longer than this begins with the first one again.
const LONGEST: Duration = Duration::from_secs(60);

/// Does what a part of the site is for, until that ends by itself. Should the program break down over it (panic), that is
/// said, and after a pause it is begun again, unless the site stops meanwhile (`stop`): nobody else would do it, and nobody
/// would notice. What lasts from one time to the next is `state`.
pub async fn stay<S>(
    what: &'static str,
    stop: impl Future<Output = ()>,
    mut state: S,
    mut part: impl for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()>,
) {
    let mut stop = pin!(stop);
    let mut pause = FIRST;
    loop {
        let began = Instant::now();
        if AssertUnwindSafe(part(&mut state)).catch_unwind().await.is_ok() {
            return;
        }
        if began.elapsed() > LONGEST {
            pause = FIRST;
        }
        error!(
            "{what} broke down, and goes on in {} s; please report what the log says above",
            pause.as_secs()
        );
        tokio::select! {
            () = &mut stop => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_breaks_down_goes_on_after_growing_pauses_and_ends_by_itself() {
        let (begin, mut at) = (Instant::now(), Vec::new());
        stay("this part", pending(), &mut at, |at| {
            async move {
                at.push(begin.elapsed().as_secs());
                match at.len() {
                    9 => sleep(2 * LONGEST).await,
                    11 => return,
                    _ => {}
                }
                panic!("on purpose");
            }
            .boxed()
        })
        .await;
        assert_eq!(at, [0, 1, 3, 7, 15, 31, 63, 123, 183, 304, 306]);
        stay("this part", ready(()), (), |()| async { panic!("on purpose") }.boxed()).await;
        assert_eq!(begin.elapsed().as_secs(), 306, "a site that stops waits for nothing");
    }
}
