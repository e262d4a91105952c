//! What the engine does about a request.

use tracing::info;

use super::{Refused, Request, core::Core};

impl Core {
    pub(super) fn answer(&mut self, request: Request) -> Result<(), Refused> {
        match request {
            Request::Run(name) => {
                if !self.entries.contains_key(&name) {
                    return Err(Refused::NoSuchCheck(name));
                }
                self.begin(&name);
                Ok(())
            }
            Request::Delete(name) => self.delete(&name),
            Request::Cleared(topic) => self.cleared(&topic),
            Request::Silent(agent, why) => {
                self.silent(Some(&agent), &why);
                Ok(())
            }
            Request::BrokerAway(why) => {
                self.silent(None, &why);
                Ok(())
            }
            Request::BrokerBack => {
                self.hears_again();
                Ok(())
            }
            Request::Reload(site, faults) => {
                self.reload(*site);
                let views = self.entries.values().map(|entry| self.view(entry)).collect();
                self.board.replace(views, faults);
                info!("the configuration was read again");
                Ok(())
            }
        }
    }
}
