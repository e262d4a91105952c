//! Acknowledgements: somebody takes a failure on.

use fletchck_shared::{
    CheckName,
    policy::{Ack, News},
    state::Condition,
};
use tracing::info;

use super::{Refused, core::Core};

impl Core {
    /// Takes a failure on in somebody's name: nobody is reminded of it, and no further ones are told.
    pub(super) fn acknowledge(&mut self, name: &CheckName, mut ack: Ack) -> Result<(), Refused> {
        let now = self.now();
        let entry = self.entries.get_mut(name).ok_or_else(|| Refused::NoSuchCheck(name.clone()))?;
        let Condition::Fail(failure) = &entry.state.condition else {
            return Err(Refused::NotNow(format!(
                "`{name}` does not fail: there is nothing to take on"
            )));
        };
        if ack.until.is_some_and(|until| until <= now) {
            return Err(Refused::NotNow("this acknowledgement is over before it begins".into()));
        }
        info!(check.name = %name, by = %ack.by, "acknowledged");
        ack.failure = Some(failure.clone());
        entry.state.alert.ack = Some(ack);
        self.touched.insert(name.clone());
        self.tell_acknowledged(name);
        self.tell(name, false);
        Ok(())
    }

    /// Takes an acknowledgement back.
    pub(super) fn take_back(&mut self, name: &CheckName) -> Result<(), Refused> {
        let entry = self.entries.get_mut(name).ok_or_else(|| Refused::NoSuchCheck(name.clone()))?;
        if entry.state.alert.ack.take().is_none() {
            return Err(Refused::NotNow(format!("nobody has acknowledged `{name}`")));
        }
        info!(check.name = %name, "the acknowledgement was taken back");
        self.touched.insert(name.clone());
        self.tell(name, false);
        Ok(())
    }

    /// Tells those who keep an account of it that somebody has taken a failure on which they know of.
    fn tell_acknowledged(&mut self, name: &CheckName) {
        let now = self.now();
        let Some(entry) = self.entries.get(name) else { return };
        let told = entry.state.alert.told.iter();
        let told: Vec<_> = told.map(|(action, told)| (action.clone(), told.severity)).collect();
        for (action, about) in told {
            if self.delivery.roster().acknowledges(&action) {
                self.deliver(name, &action, News::Acknowledged, about, now);
            }
        }
    }
}
