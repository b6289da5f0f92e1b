//! hiera-eyaml: where its keys are, what encrypts with them, and encrypted values in the text of a file.
//!
//! Keys stay where they are: OpenSSL works with them in Puppet Server's container. What comes here is ciphertext.

use std::ops::Range;

/// Where key pairs are in Puppet Server's container, each in a directory named by its number.
pub const KEYS: &str = "/etc/pupperware/eyaml";
/// The file with the key that decrypts.
pub const PRIVATE_KEY: &str = "private_key.pkcs7.pem";
/// How an encrypted value begins, and how it ends.
const BEGIN: &str = "ENC[PKCS7,";
const END: char = ']';

/// The newest pair's number in `$n`, or the one that was asked for as `$1`.
const CHOOSE: &str = "cd /etc/pupperware/eyaml || exit 3; n=$1; \
    [ -n \"$n\" ] || n=$(ls | grep -x '[1-9][0-9]*' | sort -n | tail -n 1); \
    [ -n \"$n\" ] && [ -s \"$n/public_key.pkcs7.pem\" ] || exit 3";

/// Encrypts standard input as eyaml does.
const ENCRYPT: &str = "openssl smime -encrypt -binary -aes-256-cbc -outform DER \"$n/public_key.pkcs7.pem\"";

/// One encrypted value a line in, one answer a line out. A ciphertext names the certificate that it is for, so no pair
/// but the right one opens it. What is opened stays in the container's memory for a moment.
const REENCRYPT: &str = "umask 077; work=$(mktemp -d); trap 'rm -rf \"$work\"' EXIT; \
    printf 'pair %s\\n' \"$n\"; pairs=$(ls | grep -x '[1-9][0-9]*' | sort -rn); \
    while read -r value; do found=; \
    if printf %s \"$value\" | base64 -d > \"$work/in\" 2> /dev/null; then for p in $pairs; do \
    if openssl smime -decrypt -binary -inform DER -in \"$work/in\" -recip \"$p/public_key.pkcs7.pem\" \
    -inkey \"$p/private_key.pkcs7.pem\" -out \"$work/plain\" 2> /dev/null; then found=$p; break; fi; done; fi; \
    case $found in '') echo unknown ;; \"$n\") echo kept ;; \
    *) printf 'new '; @ENCRYPT@ < \"$work/plain\" | base64 -w 0; echo ;; esac; done";

/// What encrypts standard input for a pair, the newest when none is named, into base64. Exit code 3: there is none.
pub fn encrypt(pair: Option<u32>) -> Vec<String> {
    command(&format!("{CHOOSE}; {ENCRYPT} | base64 -w 0"), pair)
}

/// What prints a pair's certificate. Exit code 3: there is none.
pub fn certificate(pair: Option<u32>) -> Vec<String> {
    command(&format!("{CHOOSE}; cat \"$n/public_key.pkcs7.pem\""), pair)
}

/// What encrypts values of any pair for the newest one; see [`read_answers`].
pub fn reencrypt() -> Vec<String> {
    command(&format!("{CHOOSE}; {}", REENCRYPT.replace("@ENCRYPT@", ENCRYPT)), None)
}

fn command(script: &str, pair: Option<u32>) -> Vec<String> {
    let pair = pair.map(|p| p.to_string()).unwrap_or_default();
    ["sh", "-euc", script, "sh", &pair].map(String::from).to_vec()
}

/// What became of an encrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is for the newest pair.
    Kept,
    /// The same for the newest pair, in base64.
    New(String),
    /// No pair of this platform opens it.
    Unknown,
}

/// Reads what [`reencrypt`] printed: the newest pair's number, and an answer for each value. Nothing when it makes no
/// sense.
pub fn read_answers(output: &str) -> Option<(u32, Vec<Answer>)> {
    let mut lines = output.lines();
    let pair = lines.next()?.strip_prefix("pair ")?.parse().ok()?;
    let answers = lines.map(|line| match line {
        "kept" => Some(Answer::Kept),
        "unknown" => Some(Answer::Unknown),
        _ => line.strip_prefix("new ").filter(|v| is_base64(v)).map(|v| Answer::New(v.to_owned())),
    });
    Some((pair, answers.collect::<Option<_>>()?))
}

/// An encrypted value as it stands in a file.
pub fn wrapped(base64: &str) -> String {
    format!("{BEGIN}{base64}{END}")
}

/// True for what can be a ciphertext.
pub fn is_base64(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

/// The encrypted values in a text: where each stands, brackets and all, and its base64 without line breaks.
pub fn values(text: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = text[at..].find(BEGIN).map(|b| at + b) {
        at = begin + BEGIN.len();
        let Some(end) = text[at..].find(END).map(|e| at + e) else { break };
        let base64: String = text[at..end].chars().filter(|c| !c.is_whitespace()).collect();
        // Anything else only looks like one: a comment, a template.
        if is_base64(&base64) {
            found.push((begin..end + END.len_utf8(), base64));
            at = end;
        }
    }
    found
}

/// The text with values replaced, and with paths to other pairs in it led to this one.
pub fn replaced(text: &str, values: &[(Range<usize>, String)], answers: &[Answer], pair: u32) -> String {
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    for ((range, _), answer) in values.iter().zip(answers) {
        if let Answer::New(base64) = answer {
            new += &text[at..range.start];
            new += &wrapped(base64);
            at = range.end;
        }
    }
    new += &text[at..];
    lead_to(&new, pair)
}

/// `/etc/pupperware/eyaml/NUMBER/` with this number.
fn lead_to(text: &str, pair: u32) -> String {
    let mut parts = text.split(KEYS);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.strip_prefix('/').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let path = digits > 0 && part[1 + digits..].starts_with('/');
        new += KEYS;
        new += &if path { format!("/{pair}{}", &part[1 + digits..]) } else { part.to_owned() };
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: ENC[PKCS7,AAAA]\n# ENC[PKCS7,<value>] is how it looks\nb: >\n  ENC[PKCS7,BBBB\n  CC==]\nc: \
                        'x ENC[PKCS7,DDDD] y'\nd: ENC[PKCS7,";

    #[test]
    fn values_are_found_over_line_breaks_and_nothing_else_is() {
        let found: Vec<String> = values(TEXT).into_iter().map(|(_, base64)| base64).collect();
        assert_eq!(found, ["AAAA", "BBBBCC==", "DDDD"]);
    }

    #[test]
    fn what_is_new_takes_the_place_of_what_was_there() {
        let values = values(TEXT);
        let answers = [Answer::New("EEEE".into()), Answer::New("FFFF".into()), Answer::Kept];
        let new = replaced(TEXT, &values, &answers, 2);
        assert!(new.starts_with("a: ENC[PKCS7,EEEE]\n# ENC[PKCS7,<value>] is"), "{new}");
        assert!(new.ends_with("b: >\n  ENC[PKCS7,FFFF]\nc: 'x ENC[PKCS7,DDDD] y'\nd: ENC[PKCS7,"), "{new}");
    }

    #[test]
    fn hiera_is_led_to_the_new_pair() {
        let text = "pkcs7_private_key: /etc/pupperware/eyaml/1/private_key.pkcs7.pem\nx: /etc/pupperware/eyaml/old/a\n";
        let new = replaced(text, &[], &[], 12);
        assert_eq!(
            new,
            "pkcs7_private_key: /etc/pupperware/eyaml/12/private_key.pkcs7.pem\nx: /etc/pupperware/eyaml/old/a\n"
        );
    }

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let read = read_answers("pair 2\nkept\nnew QUJD\nunknown\n").unwrap();
        assert_eq!(read, (2, vec![Answer::Kept, Answer::New("QUJD".into()), Answer::Unknown]));
        for nonsense in ["", "kept\n", "pair 2\nnew \n", "pair 2\nnew A B\n", "pair x\n"] {
            assert_eq!(read_answers(nonsense), None, "{nonsense}");
        }
    }
}
