//! Acknowledgements: somebody takes a failure on.

use fletchck_shared::{
    CheckName,
    policy::{Ack, Alert, News},
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
        let before = entry.state.alert.ack.take();
        ack.told = before.is_some_and(|before| before.told && before.failure == ack.failure);
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

    /// Tells those who keep an account of it that somebody has taken a failure on which they know of: once, whoever else
    /// takes it on after that, and not in a silence.
    fn tell_acknowledged(&mut self, name: &CheckName) {
        let now = self.now();
        let silenced = self.silencing(name, now).is_some();
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Alert { told, ack, .. } = &mut entry.state.alert;
        let Some(ack) = ack.as_mut().filter(|ack| !ack.told && !silenced) else { return };
        let accounts =
            told.iter().filter(|(action, _)| self.delivery.roster().acknowledges(action));
        let accounts: Vec<_> = accounts.map(|(name, told)| (name.clone(), told.severity)).collect();
        ack.told = !accounts.is_empty();
        for (action, about) in accounts {
            self.deliver(name, &action, (News::Acknowledged, about), None, now);
        }
    }
}
