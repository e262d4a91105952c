//! How long each part of a look took.

use fletchck_shared::Phase;
use tokio::time::Instant;

/// The parts of a look, from the first to the one it is at. It outlives a look that is cut off, and then says where.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Phase>,
    at: Option<(&'static str, Instant)>,
}

impl Steps {
    /// Begins a part, and with it ends the one before.
    pub(crate) fn begin(&mut self, name: &'static str) {
        self.end();
        self.at = Some((name, Instant::now()));
    }

    /// Name of the part that is under way.
    pub(crate) fn current(&self) -> Option<&'static str> {
        self.at.map(|(name, _)| name)
    }

    /// Ends the last part and returns all.
    pub(crate) fn finish(mut self) -> Vec<Phase> {
        self.end();
        self.done
    }

    fn end(&mut self) {
        if let Some((name, began)) = self.at.take() {
            self.done.push(Phase { name: name.into(), took: began.elapsed() });
        }
    }
}
