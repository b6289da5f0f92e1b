//! How a service, or one replica of it, is named on the command line: `puppetserver`, `agent.1`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A service or one of its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRef {
    /// The service's name.
    pub service: String,
    /// The replica's number, counted from one; none means the first, or all, as the command has it.
    pub replica: Option<NonZeroU32>,
}

impl FromStr for ServiceRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, replica) = match text.split_once('.') {
            None => (text, None),
            Some((service, number)) => match number.parse() {
                Ok(number) => (service, Some(number)),
                Err(_) => return Err(format!("`{number}` is no replica number; write it like agent.1")),
            },
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if service.is_empty() || !service.chars().all(plain) {
            return Err("a service's name has only lower-case letters, digits and dashes".into());
        }
        Ok(ServiceRef { service: service.into(), replica })
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        self.replica.map_or(Ok(()), |number| write!(f, ".{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_follows_the_dot() {
        let parsed: ServiceRef = "agent.2".parse().unwrap();
        assert_eq!((parsed.service.as_str(), parsed.replica.map(NonZeroU32::get)), ("agent", Some(2)));
        assert_eq!(parsed.to_string(), "agent.2");
        assert_eq!("puppetdb".parse::<ServiceRef>().unwrap().replica, None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "agent.0", "agent.x", ".1", "../etc", "Web", "a.1.2"] {
            assert!(text.parse::<ServiceRef>().is_err(), "{text}");
        }
    }
}
