//! When something may be done: days and hours of a week, `Sun 02:00-04:00`.

use std::fmt;

use jiff::civil::Weekday;
use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Days of a week on which a window opens, and from when until when. It may end on the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// By number, from Monday; all of them when the text names none.
    days: [bool; 7],
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight, of the next day when it is not after `from`.
    to: u16,
}

impl Window {
    /// True when it is open at this time of the week.
    pub fn open(&self, day: Weekday, hour: i8, minute: i8) -> bool {
        let now = u16::try_from(hour).unwrap_or_default() * 60 + u16::try_from(minute).unwrap_or_default();
        let on = |day: Weekday| self.days[usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()];
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&now);
        }
        on(day) && now >= self.from || on(day.previous()) && now < self.to
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = DAYS.iter().zip(self.days).filter(|(_, on)| *on).map(|((name, _), _)| *name).collect();
        if named.len() < DAYS.len() {
            write!(f, "{} ", named.join(","))?;
        }
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{}", time(self.from), time(self.to))
    }
}

impl Setting for Window {
    fn expected() -> String {
        "days and hours like `Sun 02:00-04:00`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let refuse = |reason: String| Refusal::new(reason).suggest("write `Sun 02:00-04:00`, or `Mon,Wed 22:00-01:00`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let (named, hours) = match words[..] {
            [hours] => (None, hours),
            [days, hours] => (Some(days), hours),
            _ => return Err(refuse(format!("{} is no window", quote(text)))),
        };
        let mut days = [named.is_none(); 7];
        for name in named.into_iter().flat_map(|names| names.split(',')) {
            let at = DAYS.iter().position(|(day, _)| day.eq_ignore_ascii_case(name));
            days[at.ok_or_else(|| refuse(format!("{} is no day", quote(name))))?] = true;
        }
        let (from, to) =
            hours.split_once('-').ok_or_else(|| refuse(format!("{} has no beginning and end", quote(hours))))?;
        let minutes = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
            let (hour, minute) = (digits(hour) && digits(minute)).then(|| (hour.parse().ok(), minute.parse().ok()))?;
            let (hour, minute): (u16, u16) = (hour?, minute?);
            (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
        };
        let time = |text: &str| minutes(text).ok_or_else(|| refuse(format!("{} is no time of day", quote(text))));
        let (from, to) = (time(from)?, time(to)?);
        if from == to || from == DAY {
            return Err(refuse(format!("{} is never open", quote(hours))));
        }
        Ok(Window { days, from, to })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^([A-Za-z]{3}(,[A-Za-z]{3})* +)?[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str, day: Weekday, hour: i8, minute: i8) -> bool {
        Window::parse(text).unwrap().open(day, hour, minute)
    }

    #[test]
    fn it_is_open_from_its_first_minute_to_before_its_last() {
        use Weekday::{Monday, Saturday, Sunday};
        assert!(open("Sun 02:00-04:00", Sunday, 2, 0) && open("Sun 02:00-04:00", Sunday, 3, 59));
        assert!(!open("Sun 02:00-04:00", Sunday, 4, 0) && !open("Sun 02:00-04:00", Monday, 3, 0));
        // Over midnight it belongs to the day on which it opens.
        assert!(open("Sun 22:00-01:00", Sunday, 23, 0) && open("Sun 22:00-01:00", Monday, 0, 59));
        assert!(!open("Sun 22:00-01:00", Sunday, 0, 30) && !open("Sun 22:00-01:00", Monday, 1, 0));
        assert!(open("02:00-04:00", Saturday, 2, 0) && open("sat,SUN 00:00-24:00", Sunday, 23, 59));
    }

    #[test]
    fn what_is_written_comes_back() {
        for text in ["Sun 02:00-04:00", "Mon,Wed 22:00-01:00", "02:00-04:00", "Sat 00:00-24:00"] {
            assert_eq!(Window::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "Sun", "Sun 2:00-4:00", "Son 02:00-04:00", "Sun 02:00-02:00", "Sun 02:60-04:00", "25:00-26:00"]
        {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }
}
