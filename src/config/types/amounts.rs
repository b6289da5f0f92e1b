//! Amounts: memory sizes, times, processor shares, counts.

use std::fmt;

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// Bytes in a mebibyte, the unit `m`.
pub(crate) const MIB: u64 = 1024 * 1024;

/// The largest size: 1 TiB.
const MAX_MIB: u64 = 1024 * 1024;

/// An amount of memory of at least `MIN_MIB` mebibytes, in whole mebibytes: `512m`, `2g` (binary units).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize<const MIN_MIB: u64> {
    mib: u64,
}

impl<const MIN_MIB: u64> ByteSize<MIN_MIB> {
    /// So many mebibytes; none when that is less than the least.
    pub const fn new(mib: u64) -> Option<Self> {
        if mib < MIN_MIB || mib > MAX_MIB { None } else { Some(ByteSize { mib }) }
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.mib * MIB
    }
}

impl<const MIN_MIB: u64> fmt::Display for ByteSize<MIN_MIB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mib.is_multiple_of(1024) { write!(f, "{}g", self.mib / 1024) } else { write!(f, "{}m", self.mib) }
    }
}

impl<const MIN_MIB: u64> Setting for ByteSize<MIN_MIB> {
    fn expected() -> String {
        format!("a size like 512m or 2g, at least {MIN_MIB}m")
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let (number, unit) = split_number(text);
        let lower = unit.trim().to_ascii_lowercase();
        let factor = match lower.as_str() {
            "m" | "mb" | "mib" => 1,
            "g" | "gb" | "gib" => 1024,
            "" if !number.is_empty() => {
                return Err(Refusal::new(format!("{} has no unit", quote(text)))
                    .suggest(format!("write `{number}m` or `{number}g`")));
            }
            _ => {
                return Err(
                    Refusal::new(format!("{} is not a size", quote(text))).suggest("write a size like `512m` or `2g`")
                );
            }
        };
        if number.is_empty() {
            return Err(Refusal::new(format!("{} has no whole number before its unit", quote(text)))
                .suggest("write a size like `512m` or `2g`; `1536m` is one and a half gibibytes"));
        }
        let mib = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n <= MAX_MIB);
        let Some(mib) = mib else {
            return Err(Refusal::new(format!("{} is larger than 1024g", quote(text))));
        };
        if unit != "m" && unit != "g" {
            let letter = if factor == 1 { 'm' } else { 'g' };
            return Err(Refusal::new(format!("the units are `m` and `g`, not {}", quote(unit.trim())))
                .suggest(format!("write `{number}{letter}`")));
        }
        if mib < MIN_MIB {
            return Err(Refusal::new(format!("{text} is too small")).suggest(format!("the least is `{MIN_MIB}m`")));
        }
        Ok(ByteSize { mib })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+[mg]$" })
    }
}

/// A time to live in whole seconds: `30s`, `10m`, `12h`, `7d`. Zero means for ever, as in PuppetDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl {
    seconds: u64,
}

/// The longest time: a hundred years.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

impl Ttl {
    /// So many days.
    pub const fn days(days: u16) -> Self {
        Ttl { seconds: days as u64 * 86_400 }
    }

    /// The time in seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, letter) = [(86_400, 'd'), (3600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(unit, _)| self.seconds > 0 && self.seconds.is_multiple_of(*unit))
            .unwrap_or((1, 's'));
        write!(f, "{}{letter}", self.seconds / unit)
    }
}

impl Setting for Ttl {
    fn expected() -> String {
        "a time like 30s, 10m, 12h or 7d".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let (number, unit) = split_number(text);
        if number.is_empty() {
            return Err(
                Refusal::new(format!("{} is not a time", quote(text))).suggest(format!("write {}", Self::expected()))
            );
        }
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "" => {
                return Err(Refusal::new(format!("{} has no unit", quote(text)))
                    .suggest(format!("write `{number}s`, `{number}m`, `{number}h` or `{number}d`")));
            }
            _ => {
                return Err(Refusal::new(format!("{} is not a unit of time", quote(unit.trim())))
                    .suggest("the units are `s`, `m`, `h` and `d`, and there is one number"));
            }
        };
        let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|s| *s <= MAX_SECONDS);
        match seconds {
            Some(seconds) => Ok(Ttl { seconds }),
            None => Err(Refusal::new(format!("{} is longer than a hundred years", quote(text)))
                .suggest("write `0s` to keep for ever")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+[smhd]$" })
    }
}

/// How long the server keeps compiled environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvironmentTimeout {
    /// Until it is told to forget; the fastest.
    Unlimited,
    /// So long; zero reads the code on every request.
    For(Ttl),
}

impl Default for EnvironmentTimeout {
    fn default() -> Self {
        EnvironmentTimeout::For(Ttl { seconds: 0 })
    }
}

impl fmt::Display for EnvironmentTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvironmentTimeout::Unlimited => f.write_str("unlimited"),
            EnvironmentTimeout::For(Ttl { seconds: 0 }) => f.write_str("0"),
            EnvironmentTimeout::For(ttl) => ttl.fmt(f),
        }
    }
}

impl Setting for EnvironmentTimeout {
    fn expected() -> String {
        "`unlimited`, 0, or a time like 30s, 10m or 12h".to_owned()
    }

    const TAKES_INTEGER: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "unlimited" => Ok(EnvironmentTimeout::Unlimited),
            "0" => Ok(EnvironmentTimeout::default()),
            text => Ttl::parse(text).map(EnvironmentTimeout::For),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "enum": ["unlimited", "0", 0] }, Ttl::schema()] })
    }
}

/// A share of processors: a decimal from 0.01 to 1024, with at most three digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus {
    milli: u32,
}

impl Cpus {
    /// In thousandths of a processor.
    pub fn milli(self) -> u32 {
        self.milli
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.milli / 1000, self.milli % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        f.write_str(format!("{whole}.{rest:03}").trim_end_matches('0'))
    }
}

impl Setting for Cpus {
    fn expected() -> String {
        "a number of processors like 2 or 1.5".to_owned()
    }

    const TAKES_INTEGER: bool = true;
    const TAKES_FLOAT: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let refuse = |reason: &str| {
            Err(Refusal::new(format!("{} {reason}", quote(text)))
                .suggest("write a number from 0.01 to 1024, such as `1.5`"))
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return refuse("is not a number of processors");
        }
        let significant = fraction.trim_end_matches('0');
        if significant.len() > 3 {
            return refuse("has more than three digits after the point");
        }
        let thousandths: u32 = format!("{significant:0<3}").parse().unwrap_or(0);
        let milli = whole.parse::<u32>().ok().and_then(|w| w.checked_mul(1000)?.checked_add(thousandths));
        match milli {
            Some(milli @ 10..=1_024_000) => Ok(Cpus { milli }),
            _ => refuse("is out of range"),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [
            { "type": "number", "minimum": 0.01, "maximum": 1024 },
            { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$" },
        ] })
    }

    fn to_json(&self) -> Value {
        if self.milli.is_multiple_of(1000) { json!(self.milli / 1000) } else { json!(f64::from(self.milli) / 1000.0) }
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// The number, if it is in the range.
    pub const fn new(number: u32) -> Option<Self> {
        if number >= MIN && number <= MAX { Some(Count(number)) } else { None }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Count<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: u32, const MAX: u32> Setting for Count<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    const TAKES_INTEGER: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let range = format!("write a whole number from {MIN} to {MAX}");
        let (number, rest) = split_number(text);
        if number.is_empty() || !rest.is_empty() {
            return Err(Refusal::new(format!("{} is not a whole number", quote(text))).suggest(range));
        }
        number
            .parse::<u32>()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| Refusal::new(format!("{} is not from {MIN} to {MAX}", quote(text))).suggest(range))
    }

    fn schema() -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": MIN, "maximum": MAX },
            { "type": "string", "pattern": "^[0-9]+$" },
        ] })
    }
}

/// The leading decimal digits, and the rest.
fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        type Size = ByteSize<256>;
        assert_eq!(Size::parse("512m").map(Size::bytes), Ok(512 * MIB));
        assert_eq!(Size::parse("2g").map(|s| s.to_string()).as_deref(), Ok("2g"));
        assert_eq!(Size::parse("2048m").map(|s| s.to_string()).as_deref(), Ok("2g"));
        let advice = |text: &str| Size::parse(text).expect_err(text).suggestion.unwrap_or_default();
        assert_eq!(advice("2GB"), "write `2g`");
        assert_eq!(advice("512 MiB"), "write `512m`");
        assert_eq!(advice("512"), "write `512m` or `512g`");
        assert_eq!(advice("100m"), "the least is `256m`");
        assert!(advice("1.5g").starts_with("write a size"));
        for bad in ["", "m", "-1g", "99999999999999999999g", "2000g", "5t"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds, shown) in [("30s", 30, "30s"), ("10m", 600, "10m"), ("48h", 172_800, "2d"), ("0d", 0, "0s")]
        {
            assert_eq!(Ttl::parse(text).map(|t| (t.seconds(), t.to_string())), Ok((seconds, shown.to_owned())));
        }
        for bad in ["", "7", "7w", "1d12h", "-1d", "1.5h", "99999999d"] {
            assert!(Ttl::parse(bad).is_err(), "{bad}");
        }
        for good in ["unlimited", "0", "10m"] {
            assert_eq!(EnvironmentTimeout::parse(good).map(|t| t.to_string()).as_deref(), Ok(good));
        }
        assert!(EnvironmentTimeout::parse("5").is_err());
    }

    #[test]
    fn processors_and_counts() {
        for (text, milli, shown) in
            [("2", 2000, "2"), ("1.5", 1500, "1.5"), ("0.250", 250, "0.25"), ("1.0000", 1000, "1")]
        {
            assert_eq!(Cpus::parse(text).map(|c| (c.milli(), c.to_string())), Ok((milli, shown.to_owned())));
        }
        for bad in ["0", "0.001", "-1", "1e3", "1.2345", ".5", "5.", "4294968"] {
            assert!(Cpus::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Count::<0, 50>::parse("50").map(Count::get), Ok(50));
        for bad in ["51", "-1", "1.5", "x", "", "99999999999"] {
            assert!(Count::<0, 50>::parse(bad).is_err(), "{bad}");
        }
    }
}
