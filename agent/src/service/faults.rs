//! What is wrong with a site, from wherever it is known: its configuration, and the parts of it that do not run as that says.

use std::{collections::BTreeMap, sync::Arc};

use fletchck_shared::config::Fault;
use parking_lot::Mutex;

use crate::engine::Board;

/// All faults of a site, shown together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    board: Arc<Board>,
    /// Of the configuration that runs.
    running: Vec<Fault>,
    /// What is shown of the configuration: the same, or what keeps another one from being taken over.
    shown: Vec<Fault>,
    /// Of parts, by the names of their sections.
    parts: BTreeMap<&'static str, Vec<Fault>>,
}

impl Faults {
    /// The faults of a configuration that runs, as the board shows them already.
    pub(super) fn new(board: Arc<Board>, running: Vec<Fault>) -> Self {
        let (shown, parts) = (running.clone(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Known { board, running, shown, parts })))
    }

    /// The faults of the configuration that runs.
    pub fn running(&self) -> Vec<Fault> {
        self.0.lock().running.clone()
    }

    /// Another configuration runs, with these faults.
    pub fn run(&self, faults: Vec<Fault>) {
        let mut known = self.0.lock();
        (known.running, known.shown) = (faults.clone(), faults);
        known.show();
    }

    /// Another configuration was not taken over for these faults.
    pub fn refuse(&self, faults: Vec<Fault>) {
        let mut known = self.0.lock();
        known.shown = faults;
        known.show();
    }

    /// The file cannot be read at all; what ran before goes on.
    pub fn unread(&self, fault: Fault) {
        let mut known = self.0.lock();
        known.shown = known.running.clone();
        known.shown.push(fault);
        known.show();
    }

    /// What is wrong with a part now; nothing, where it runs as it should. Answers with what was not known of it.
    pub fn part(&self, part: &'static str, faults: Vec<Fault>) -> Vec<Fault> {
        let mut known = self.0.lock();
        let before = known.parts.insert(part, faults.clone()).unwrap_or_default();
        known.show();
        faults.into_iter().filter(|fault| !before.contains(fault)).collect()
    }

    /// What is to be shown if the configuration that runs had these faults.
    pub(super) fn with(&self, running: &[Fault]) -> Vec<Fault> {
        all(running, &self.0.lock().parts)
    }
}

impl Known {
    fn show(&self) {
        let all = all(&self.shown, &self.parts);
        if *self.board.faults() != all {
            self.board.show_faults(all);
        }
    }
}

fn all(configuration: &[Fault], parts: &BTreeMap<&'static str, Vec<Fault>>) -> Vec<Fault> {
    configuration.iter().chain(parts.values().flatten()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str) -> Fault {
        Fault::error(path, "wrong", "right")
    }

    fn shown(board: &Board) -> Vec<String> {
        board.faults().iter().map(|fault| fault.path.clone()).collect()
    }

    #[test]
    fn faults_of_parts_stand_beside_those_of_whichever_configuration_is_shown() {
        let board = Arc::<Board>::default();
        board.show_faults(vec![fault("a")]);
        let faults = Faults::new(board.clone(), vec![fault("a")]);
        assert_eq!(faults.part("webui", vec![fault("w")]), [fault("w")]);
        assert_eq!(faults.part("broker", vec![fault("b"), fault("c")]).len(), 2);
        assert_eq!(shown(&board), ["a", "b", "c", "w"]);
        assert_eq!(faults.part("broker", vec![fault("c"), fault("d")]), [fault("d")]);

        faults.refuse(vec![fault("x")]);
        assert_eq!(shown(&board), ["x", "c", "d", "w"]);
        faults.unread(fault("the file"));
        faults.unread(fault("the file"));
        assert_eq!(shown(&board), ["a", "the file", "c", "d", "w"]);
        assert_eq!(faults.running(), [fault("a")]);
        faults.run(Vec::new());
        let before = board.version();
        assert_eq!(faults.part("webui", vec![fault("w")]), []);
        assert_eq!(board.version(), before, "nothing new, and nobody is told");
        assert_eq!(faults.part("webui", Vec::new()), []);
        assert_eq!(shown(&board), ["c", "d"]);
        assert_eq!(faults.with(&[fault("y")]), [fault("y"), fault("c"), fault("d")]);
    }
}
