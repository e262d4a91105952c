//! What time it is, and how much of it has passed.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// The wall clock, which anyone may set, beside one that nobody can: where the two disagree, the wall clock was set or the
/// machine slept.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    passed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The clocks of the system.
    pub fn system() -> Self {
        let begin = Instant::now();
        Self::new(Utc::now, move || begin.elapsed())
    }

    /// Any wall clock, and any measure of the time that has passed since some moment.
    pub fn new(
        wall: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        passed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), passed: Arc::new(passed) }
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        (self.wall)()
    }

    /// How much time has passed since some moment, without the time that the machine slept.
    pub fn passed(&self) -> Duration {
        (self.passed)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
