//! Test results as JUnit XML, which CI systems read.

use std::fmt::Write;

/// One test case.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Its name.
    pub name: &'a str,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Why it failed; nothing when it passed.
    pub failure: Option<&'a str>,
}

/// A document with one suite.
pub fn suite(name: &str, cases: &[Case<'_>]) -> String {
    let failures = cases.iter().filter(|c| c.failure.is_some()).count();
    let total: u64 = cases.iter().map(|c| c.elapsed_ms).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" time=\"{}\">",
        escape(name),
        cases.len(),
        seconds(total)
    );
    for case in cases {
        let _ = write!(out, "  <testcase name=\"{}\" time=\"{}\"", escape(case.name), seconds(case.elapsed_ms));
        match case.failure {
            None => out.push_str("/>\n"),
            Some(why) => {
                let _ = writeln!(out, "><failure message=\"{}\"/></testcase>", escape(why));
            }
        }
    }
    out.push_str("</testsuite>\n");
    out
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// XML's five, and no control characters, which XML 1.0 cannot hold.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_text_is_escaped() {
        let cases = [
            Case { name: "a", elapsed_ms: 1500, failure: None },
            Case { name: "b", elapsed_ms: 20, failure: Some("x < \"y\"\u{7}") },
        ];
        insta::assert_snapshot!(suite("s & t", &cases), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuite name="s &amp; t" tests="2" failures="1" time="1.520">
          <testcase name="a" time="1.500"/>
          <testcase name="b" time="0.020"><failure message="x &lt; &quot;y&quot;"/></testcase>
        </testsuite>
        "#);
    }
}
