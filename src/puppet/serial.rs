//! Serial numbers of Puppet's CA: the file `serial` holds the next one, in hexadecimal digits.

/// Where the next serial number stands in the CA's directory.
pub const FILE: &str = "serial";
/// How far a CA that was put back from a copy goes on: more than it can have signed since the copy was made.
pub const LEAP: u128 = 65_536;

/// The number in such a file; nothing when it makes no sense.
pub fn parse(text: &str) -> Option<u128> {
    let digits = text.trim();
    let sound = !digits.is_empty() && digits.len() <= 30 && digits.chars().all(|c| c.is_ascii_hexdigit());
    sound.then(|| u128::from_str_radix(digits, 16).ok())?
}

/// The content of such a file.
pub fn text(serial: u128) -> String {
    format!("{serial:04X}")
}

/// Where a CA goes on that was put back: above what it knew, and above the CA that was there before.
pub fn after(restored: u128, before: Option<u128>) -> u128 {
    restored.max(before.unwrap_or_default()) + LEAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_ca_goes_on_above_everything_that_was_signed() {
        assert_eq!(parse("001A\n"), Some(26));
        assert_eq!(text(26), "001A");
        assert_eq!(text(after(parse("0007").unwrap(), None)), "10007");
        assert_eq!(text(after(7, Some(0x2_0000))), "30000");
        for nonsense in ["", "-1", "0x1", "1 2", &"F".repeat(31)] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
