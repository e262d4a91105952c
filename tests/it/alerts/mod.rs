//! Alerts on their whole way: from what happens to a check to whoever is told, whatever happens in between.

mod deciding;
mod fleet;
mod heartbeat;
mod kills;
mod outage;
mod storm;
mod words;
