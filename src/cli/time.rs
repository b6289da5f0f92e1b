//! Times on the command line: `90s`, `10m`, `1h30m`; and points in time, as RFC 3339 or as a duration ago.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

const FORM: &str = "write it like 90s, 10m or 1h30m";

/// Parses a duration: whole numbers, each with one of the units h, m, s, ms, the largest first.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last = Duration::MAX;
    if text.is_empty() {
        return Err(format!("it is empty; {FORM}"));
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        if number.is_empty() {
            return Err(format!("a number is missing before `{name}`; {FORM}"));
        }
        let unit = match name {
            "h" => Duration::from_secs(3600),
            "m" => Duration::from_secs(60),
            "s" => Duration::from_secs(1),
            "ms" => Duration::from_millis(1),
            "" => return Err(format!("the unit is missing after {number}; {FORM}")),
            other => return Err(format!("`{other}` is no unit of time; {FORM}")),
        };
        if unit >= last {
            return Err(format!("units go from large to small, each once; {FORM}"));
        }
        let number: u32 = number.parse().map_err(|_| format!("{number} is too large"))?;
        total = unit.checked_mul(number).and_then(|part| total.checked_add(part)).ok_or("it is too long")?;
        (rest, last) = (after, unit);
    }
    Ok(total)
}

/// A point in time from which on something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(Duration),
    /// At this time.
    At(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(time) => Ok(Since::At(time)),
            // A date has its first dash after the year; a duration has none.
            Err(_) if text.contains('-') => Err("a time is written like 2026-08-21T14:00:00Z".into()),
            Err(_) => parse_duration(text).map(Since::Ago),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_add_up() {
        let seconds = |text| parse_duration(text).unwrap().as_secs_f64();
        assert_eq!([seconds("90s"), seconds("10m"), seconds("1h30m"), seconds("250ms")], [90.0, 600.0, 5400.0, 0.25]);
        assert_eq!(seconds("0s"), 0.0);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = |text| parse_duration(text).unwrap_err();
        assert_eq!(error("10"), "the unit is missing after 10; write it like 90s, 10m or 1h30m");
        assert_eq!(error("5x"), "`x` is no unit of time; write it like 90s, 10m or 1h30m");
        assert_eq!(error("m"), "a number is missing before `m`; write it like 90s, 10m or 1h30m");
        assert_eq!(error("1s1h"), "units go from large to small, each once; write it like 90s, 10m or 1h30m");
        assert_eq!(error("99999999999s"), "99999999999 is too large");
        assert!(error("-5m").starts_with("a number is missing"));
    }

    #[test]
    fn since_takes_both() {
        assert_eq!("10m".parse(), Ok(Since::Ago(Duration::from_secs(600))));
        assert_eq!("1970-01-01T00:00:00Z".parse(), Ok(Since::At(Timestamp::UNIX_EPOCH)));
        assert!("2026-08-21".parse::<Since>().unwrap_err().contains("2026-08-21T14:00:00Z"));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in "\\PC{0,12}") {
            let _ = parse_duration(&text);
            let _ = text.parse::<Since>();
        }
    }
}
