//! The wire form of versions 1 to 3, as it must stay.
//!
//! `testdata/golden` has the line of each message (`message-NAME.json`) and of each answer
//! (`answer-NAME.json`, `refused-FAULT.json`); `UPDATE_EXPECT=1` writes them anew, which breaks
//! every peer that is out there unless only new ones appear. `testdata/older` has lines as a peer
//! may send them that knows none of the optional fields, and `testdata/newer` lines with fields that
//! we do not know; nobody writes these but people.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use grange_interfaces::message::Message;
use grange_transport_http::{
    answer_has_body, decode_message, decode_reply, encode_message, encode_reply, message_has_body,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use grange_testing::sample as samples;

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(folder)
}

/// The name of a variant: a text, or the key of an object with one.
fn name_of(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        Value::Object(object) => object.keys().next().unwrap().clone(),
        other => panic!("{other}"),
    }
}

/// The names of all variants, as serde says them when it meets one that is not there.
fn all_variants<T: DeserializeOwned + Debug>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>("\"no-such\"")
        .unwrap_err()
        .to_string();
    let (_, listed) = error.split_once("expected").unwrap();
    listed
        .split('`')
        .skip(1)
        .step_by(2)
        .map(ToOwned::to_owned)
        .collect()
}

struct Golden {
    update: bool,
    seen: BTreeSet<String>,
}

impl Golden {
    fn new() -> Self {
        Self {
            update: std::env::var_os("UPDATE_EXPECT").is_some(),
            seen: BTreeSet::new(),
        }
    }

    fn check(&mut self, name: String, line: &[u8]) {
        assert!(line.ends_with(b"\n") && line.iter().filter(|&&byte| byte == b'\n').count() == 1);
        let path = testdata("golden").join(&name);
        if self.update {
            fs::write(&path, line).unwrap();
        }
        let golden = fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error} (UPDATE_EXPECT=1 writes it)", path.display())
        });
        assert_eq!(
            String::from_utf8_lossy(line),
            String::from_utf8_lossy(&golden),
            "{name}"
        );
        assert!(self.seen.insert(name));
    }
}

#[test]
fn every_message_and_answer_is_what_it_was() {
    let mut golden = Golden::new();
    let mut names = BTreeSet::new();
    for message in samples::messages() {
        let line = encode_message(&message);
        let name = name_of(&serde_json::from_slice(&line).unwrap());
        golden.check(format!("message-{name}.json"), &line);
        assert_eq!(decode_message(&line).unwrap(), message);
        names.insert(name);
    }
    assert_eq!(names, all_variants::<Message>(), "samples.rs has each");

    let mut names = BTreeSet::new();
    for answer in samples::answers() {
        let line = encode_reply(Ok(&answer));
        let value: Value = serde_json::from_slice(&line).unwrap();
        let name = name_of(&value["ok"]);
        golden.check(format!("answer-{name}.json"), &line);
        assert_eq!(decode_reply(&line).unwrap(), Ok(answer));
        names.insert(name);
    }
    assert_eq!(
        names,
        all_variants::<grange_interfaces::message::Answer>(),
        "samples.rs has each"
    );

    let mut names = BTreeSet::new();
    for refusal in samples::refusals() {
        let line = encode_reply(Err(&refusal));
        let value: Value = serde_json::from_slice(&line).unwrap();
        let name = name_of(&value["refused"]["fault"]);
        golden.check(format!("refused-{name}.json"), &line);
        assert_eq!(decode_reply(&line).unwrap(), Err(refusal));
        names.insert(name);
    }
    assert_eq!(
        names,
        all_variants::<grange_interfaces::Fault>(),
        "samples.rs has each"
    );

    let there: BTreeSet<_> = fs::read_dir(testdata("golden"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, golden.seen, "no file is left over");
}

/// The lines in a folder, by their files' names.
fn lines(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut lines: Vec<_> = fs::read_dir(testdata(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    lines.sort();
    assert!(!lines.is_empty());
    lines
}

#[test]
fn peers_that_know_fewer_or_more_fields_are_understood() {
    for folder in ["older", "newer"] {
        for (name, line) in lines(folder) {
            if name.starts_with("message-") {
                decode_message(&line)
                    .unwrap_or_else(|refusal| panic!("{folder}/{name}: {refusal}"));
            } else {
                let reply =
                    decode_reply(&line).unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
                assert_eq!(reply.is_ok(), name.starts_with("answer-"));
            }
        }
    }
}

#[test]
fn an_older_submission_means_the_defaults() {
    let line = fs::read(testdata("older").join("message-submit.json")).unwrap();
    let Message::Submit { builds } = decode_message(&line).unwrap() else {
        panic!()
    };
    let build = &builds[0];
    assert_eq!(
        (build.priority, build.timeout_ms, build.max_silent_ms),
        (0, None, None)
    );
    assert!(build.tags.is_empty() && build.requires.is_empty() && !build.again && !build.no_inputs);
}

#[test]
fn bodies_belong_to_these() {
    let named: Vec<_> = samples::messages()
        .iter()
        .filter(|message| message_has_body(message))
        .map(|message| name_of(&serde_json::to_value(message).unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            "append-log",
            "append-upload",
            "put-derivations",
            "put-items"
        ]
    );
    let named: Vec<_> = samples::answers()
        .iter()
        .filter(|answer| answer_has_body(answer))
        .map(|answer| name_of(&serde_json::to_value(answer).unwrap()))
        .collect();
    assert_eq!(named, ["log", "item", "derivations"]);
}
