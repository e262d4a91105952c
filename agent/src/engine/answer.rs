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
            Request::Ping(ping) => self.ping(&ping),
            Request::Delete(name) => self.delete(&name),
            Request::Cleared(topic) => self.cleared(&topic),
            Request::Silent(agent, why) => {
                self.silent(&agent, &why);
                Ok(())
            }
            Request::BrokerAway(why) => {
                self.broker_away(&why);
                Ok(())
            }
            Request::BrokerBack => {
                self.broker_back();
                Ok(())
            }
            Request::Acknowledge(name, ack) => self.acknowledge(&name, ack),
            Request::TakeBack(name) => self.take_back(&name),
            Request::Silence(silence) => self.silence(*silence),
            Request::EndSilence(id) => self.end_silence(id),
            Request::Labels(agent, labels) => {
                self.label(agent, labels);
                Ok(())
            }
            Request::Pulse => {
                self.batch.pulse = Some(self.now());
                self.on_time()
            }
            Request::Reload(site, faults) => {
                self.reload(*site);
                self.reloaded = Some(faults);
                info!("the configuration was read again");
                Ok(())
            }
        }
    }
}
