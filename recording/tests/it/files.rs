//! Recordings in files.

use std::fs;

use grange_recording::*;

use crate::{at, line, read, recording};

#[test]
fn a_file_goes_on_where_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let mut file = RecordingFile::open(&path).unwrap();
    assert_eq!(file.cursor(), None);
    file.append(&header(at(3))).unwrap();
    drop(file);
    let mut file = RecordingFile::open(&path).unwrap();
    assert_eq!(file.cursor(), Some(at(3)));
    file.append(&line(4, Event::Mark).print()).unwrap();
    drop(file);
    let file = RecordingFile::open(&path).unwrap();
    assert_eq!(file.cursor(), Some(at(4)));
}

#[test]
fn a_last_line_that_was_cut_is_written_anew_wherever_it_was_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let (text, lines) = recording();
    for end in 0..=text.len() {
        fs::write(&path, &text[..end]).unwrap();
        let mut file = RecordingFile::open(&path).unwrap();
        match file.cursor() {
            None => file.append(&text).unwrap(),
            Some(cursor) => {
                let rest = lines.iter().filter(|line| line.cursor.fact > cursor.fact);
                let rest: Vec<u8> = rest.cloned().flat_map(Line::print).collect();
                file.append(&rest).unwrap();
            }
        }
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), text, "{end}");
    }
}

#[test]
fn a_long_last_line_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let (mut text, _) = recording();
    let agent = Agent {
        id: grange_model::AgentId(uuid::Uuid::nil()),
        name: "x".repeat(300_000),
        systems: Vec::new(),
        tags: grange_model::Tags::new(),
        parallel: 1,
        ahead: 0,
    };
    text.extend(line(6, Event::Agent(agent)).print());
    fs::write(&path, &text).unwrap();
    assert_eq!(RecordingFile::open(&path).unwrap().cursor(), Some(at(6)));
    text.truncate(text.len() - 100_000);
    fs::write(&path, &text).unwrap();
    assert_eq!(RecordingFile::open(&path).unwrap().cursor(), Some(at(5)));
}

#[test]
fn what_is_no_recording_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let (text, _) = recording();
    let text = String::from_utf8(text).unwrap();
    let zeros = "\0".repeat(70_000);
    for (wrong, expected) in [
        ("grange-graph 1\nhello", "no recording"),
        ("my novel", "its first line is not one"),
        (&zeros, "its first line is not one"),
        (&text.replacen(":1,", ":9,", 1), "version 9"),
        (&format!("{text}x\n"), "its last line: expected value"),
    ] {
        fs::write(&path, wrong).unwrap();
        let error = RecordingFile::open(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), *wrong);
    }
    let error = RecordingFile::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NoFile), "{error}");
    let error = RecordingFile::open("/dev/full".as_ref()).unwrap_err();
    assert!(matches!(error, OpenError::NoFile), "{error}");
    let error = RecordingFile::open("/nowhere/farm".as_ref()).unwrap_err();
    assert!(matches!(error, OpenError::Io(_)), "{error}");
}

#[test]
fn two_do_not_record_to_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let first = RecordingFile::open(&path).unwrap();
    let error = RecordingFile::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::InUse), "{error}");
    drop(first);
    RecordingFile::open(&path).unwrap();
}

#[test]
fn it_can_be_read_while_it_is_written_and_nobody_may_shorten_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let (text, lines) = recording();
    let mut file = RecordingFile::open(&path).unwrap();
    file.append(&header(at(0))).unwrap();
    for number in 0..lines.len() {
        file.append(&lines[number].clone().print()).unwrap();
        assert_eq!(read(&fs::read(&path).unwrap()).unwrap(), lines[..=number]);
    }
    assert_eq!(fs::read(&path).unwrap(), text);
    // What a write that failed has left goes.
    fs::write(&path, [&text[..], b"{\"fa"].concat()).unwrap();
    file.append(&line(6, Event::Mark).print()).unwrap();
    assert_eq!(read(&fs::read(&path).unwrap()).unwrap().len(), 6);
    fs::write(&path, "").unwrap();
    let error = file.append(&line(7, Event::Mark).print()).unwrap_err();
    assert!(error.to_string().contains("shorter"), "{error}");
}

#[test]
fn it_grows_no_further_than_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("farm.record");
    let (text, _) = recording();
    let room = text.len() as u64;
    let mut file = RecordingFile::open(&path).unwrap().at_most(room);
    file.append(&text).unwrap();
    let mark = line(6, Event::Mark).print();
    let error = file.append(&mark).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::QuotaExceeded);
    assert_eq!(fs::read(&path).unwrap(), text);
    drop(file);
    let file = RecordingFile::open(&path).unwrap();
    let mut file = file.at_most(room + mark.len() as u64);
    file.append(&mark).unwrap();
}
