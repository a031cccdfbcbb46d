//! The format.

use grange_recording::*;

use crate::{at, read, recording};

#[test]
fn what_is_written_is_read() {
    let (text, lines) = recording();
    assert_eq!(read(&text).unwrap(), lines);
    let mut read = Lines::new(text.as_slice()).unwrap();
    assert_eq!(read.begins(), at(0));
    read.next().unwrap().unwrap();
    assert_eq!(read.line(), 2);
}

/// The text is a promise to whoever kept recordings.
#[test]
fn the_format_stays() {
    let expected = concat!(
        r#"{"format":"grange-recording","version":1,"fact":0,"at":0}"#,
        "\n",
        r#"{"fact":1,"at":1000}"#,
        "\n",
        r#"{"fact":2,"at":2000,"agent":{"id":"00000000-0000-0000-0000-000000000008","name":"rosa \"\n","systems":["x86_64-linux"],"tags":{"room":"cellar"},"parallel":2,"ahead":1}}"#,
        "\n",
        r#"{"fact":3,"at":3000,"submitted":{"build":"00000000-0000-0000-0000-000000000007","derivation":{"id":"144hj289144hj289144hj289144hj289","name":"hello-2.12","system":"x86_64-linux","outputs":["out","doc"],"inputs":["b9d5lnjsb9d5lnjsb9d5lnjsb9d5lnjs"]},"implicit":true,"priority":-3,"tags":{"submitter":"ünal"}}}"#,
        "\n",
        r#"{"fact":4,"at":4000,"ended":{"build":"00000000-0000-0000-0000-000000000007","state":"failed-dependency","attempts":[{"id":"1.2.3","agent":"00000000-0000-0000-0000-000000000008","assigned":5,"ended":6,"how":"setup-failed"}]}}"#,
        "\n",
        r#"{"fact":5,"at":5000,"gap":{"after":3}}"#,
        "\n",
    );
    let (text, _) = recording();
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn what_is_not_there_yet_is_no_error_wherever_it_is_cut() {
    let (text, lines) = recording();
    let first = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in first..=text.len() {
        let whole = text[first..end].iter().filter(|byte| **byte == b'\n');
        assert_eq!(read(&text[..end]).unwrap(), lines[..whole.count()], "{end}");
    }
    for end in 0..first {
        let error = read(&text[..end]).unwrap_err();
        assert!(
            error.to_string().contains("this is no recording"),
            "{error}"
        );
    }
}

#[test]
fn keys_of_the_future_are_left_alone() {
    let text = "{\"format\":\"grange-recording\",\"version\":1,\"fact\":0,\"at\":0,\"farm\":\"ours\"}\n\
                {\"fact\":1,\"at\":2,\"weather\":{\"rain\":true}}\n";
    let lines = read(text.as_bytes()).unwrap();
    assert_eq!(lines[0].event, Event::Mark);
}

#[test]
fn errors_name_the_line() {
    let (good, _) = recording();
    let text = String::from_utf8(good).unwrap();
    for (wrong, expected) in [
        (
            String::new(),
            "line 1 of the recording: this is no recording",
        ),
        (
            "grange-graph 1\n".into(),
            "line 1 of the recording: this is no recording",
        ),
        (
            text.replacen(":1,", ":2,", 1),
            "line 1 of the recording: it has version 2, and this Grange knows only 1",
        ),
        (
            text.replacen("\"fact\":1", "\"fact\":-1", 1),
            "line 2 of the recording: invalid value",
        ),
        (
            text.replacen("\"parallel\":2,", "", 1),
            "line 3 of the recording: missing field `parallel`",
        ),
        (
            text.replacen("144hj289", "144h", 1),
            "line 4 of the recording: `144h144hj289144hj289144hj289` names no derivation",
        ),
        (
            text.replacen("\"1.2.3\"", "\"1.2\"", 1),
            "line 5 of the recording: an attempt is named",
        ),
        (
            text.replacen("setup-failed", "exploded", 1),
            "line 5 of the recording: unknown variant `exploded`",
        ),
        (
            text.replacen("{\"fact\":4", "\0\0\0", 1),
            "line 5 of the recording: expected value, at byte 1",
        ),
        (
            text.replacen("{\"fact\":5", "\n", 1),
            "line 6 of the recording: EOF",
        ),
    ] {
        let error = read(wrong.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}, where {expected}");
    }
}

#[test]
fn nothing_follows_an_error() {
    let text = "{\"format\":\"grange-recording\",\"version\":1,\"fact\":0,\"at\":0}\nx\n{\"fact\":1,\"at\":2}\n";
    let mut lines = Lines::new(text.as_bytes()).unwrap();
    assert!(lines.next().unwrap().is_err());
    assert!(lines.next().is_none());
}
