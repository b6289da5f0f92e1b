//! Tells others of reports: each rule follows the events of its connection and sends what it is about, many at once.
//!
//! How far a rule has got is kept. After a restart it goes on from there: a message may come twice, with the same
//! identifier, and none is left out. A rule that is new begins with what comes from now on.

mod config;
mod matching;
mod message;
mod send;
mod sign;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::keeper::Keeper;
use config::{Conditions, Rule};
pub use config::{Receiver, RulesFile};
use message::Message;
use send::Sender;

/// The most events that become one message.
const EVENTS: usize = 10_000;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A receiver that has not taken a message for so long does not get it.
const GIVE_UP: Duration = Duration::from_secs(24 * 3_600);

/// A rule that is ready to tell.
pub struct Teller {
    rule: Rule,
    sender: Sender,
    sent: VecDeque<Instant>,
}

impl Teller {
    /// Makes everything ready that a file of rules needs.
    ///
    /// # Errors
    /// An address or a secret cannot be used. Says which file, not what is in it.
    pub fn all(file: RulesFile) -> Result<Vec<Self>, String> {
        let each = file.rules.into_iter().map(|rule| {
            let sender = Sender::new(&rule.send).map_err(|why| format!("rule `{}`: {why}", rule.name))?;
            Ok(Teller { rule, sender, sent: VecDeque::new() })
        });
        each.collect()
    }

    /// Tells of the events after this one, until the server ends.
    pub async fn tell(mut self, mut at: u64, keeper: Arc<Keeper>, mut ending: watch::Receiver<bool>) {
        let telling = async {
            loop {
                at = self.next(&keeper, at).await;
            }
        };
        tokio::select! {
            () = telling => {}
            _ = ending.wait_for(|end| *end) => {}
        }
    }

    /// Where to go on; nothing when that cannot be kept.
    pub async fn begin(&self, keeper: &Arc<Keeper>) -> Option<u64> {
        if let Some(at) = keeper.read(|book| book.told(&self.rule.name)) {
            return Some(at);
        }
        let name = self.rule.name.clone();
        let begun = keeper.act(move |book, _, _| Ok(book.tell(&name, book.last_event()))).await;
        match begun {
            Ok(at) => Some(at),
            Err(refusal) => {
                tracing::error!(rule = %self.rule.name, %refusal, "the rule is not followed");
                None
            }
        }
    }

    /// Waits for something to tell, tells it, and gives how far it is then.
    async fn next(&mut self, keeper: &Arc<Keeper>, from: u64) -> u64 {
        let mut changes = keeper.changes();
        let mut at = from;
        loop {
            changes.borrow_and_update();
            let (message, next) = self.gather(keeper, at);
            match message.is_empty() {
                false => break,
                true if next > at => at = next,
                true => drop(changes.changed().await),
            }
        }
        tokio::time::sleep(Duration::from_secs(self.rule.coalesce_seconds.into())).await;
        self.wait_for_turn().await;
        let (message, to) = self.gather(keeper, at);
        self.send(&message, at, to).await;
        let name = self.rule.name.clone();
        if let Err(refusal) = keeper.act(move |book, _, _| Ok(book.tell(&name, to))).await {
            tracing::error!(rule = %self.rule.name, %refusal, "how far it is cannot be kept");
        }
        to
    }

    /// What is to be told of the events after this one, and the last of them.
    fn gather(&self, keeper: &Arc<Keeper>, after: u64) -> (Message, u64) {
        keeper.read(|book| {
            let list = book.events_after(&self.rule.connection, after, EVENTS);
            let mut message = Message::default();
            let on: &Conditions = &self.rule.on;
            let found = list.events.iter().filter_map(|event| matching::find(on, &event.data));
            found.for_each(|found| message.add(&found));
            (message, list.next)
        })
    }

    /// Until another message may be sent this minute.
    async fn wait_for_turn(&mut self) {
        let minute = Duration::from_secs(60);
        let most = usize::try_from(self.rule.per_minute.get()).unwrap_or(usize::MAX);
        while self.sent.len() >= most {
            if let Some(first) = self.sent.pop_front() {
                tokio::time::sleep_until(first + minute).await;
            }
        }
        self.sent.push_back(Instant::now());
    }

    /// Sends until it is taken, refused for good, or too old.
    async fn send(&self, message: &Message, from: u64, to: u64) {
        let name = self.rule.name.as_str();
        let id = send::id(name, from, to);
        let end = Instant::now() + GIVE_UP;
        let mut pause = Duration::from_secs(1);
        loop {
            match self.sender.send(message, name, &id, Timestamp::now()).await {
                Ok(()) => return,
                Err(send::NotSent::Refused(why)) => {
                    tracing::error!(rule = name, why, "a message is refused, and not sent again");
                    return;
                }
                Err(send::NotSent::Later { why, after }) => {
                    tracing::warn!(rule = name, why, "a message was not taken; it is sent again");
                    if Instant::now() >= end {
                        tracing::error!(rule = name, "a message was not taken for a day, and is not sent again");
                        return;
                    }
                    tokio::time::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}
