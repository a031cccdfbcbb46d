//! What a guix-daemon or a nix-daemon says.

use bytes::Bytes;
use grange_daemon_protocol::wire::{Cursor, Frame, ReadError, Traces};
use grange_derivation::StoreDir;

pub(crate) fn guix(bytes: &[u8]) {
    conversation(bytes, false, &StoreDir::guix());
}

pub(crate) fn nix(bytes: &[u8]) {
    conversation(bytes, true, &StoreDir::nix());
}

/// Frames up to the last one, and then a result, of a kind that the first byte names.
fn conversation(bytes: &[u8], structured: bool, store: &StoreDir) {
    let Some((kind, said)) = bytes.split_first() else {
        return;
    };
    let mut traces = Traces::default();
    let mut at = 0;
    loop {
        let mut cursor = Cursor::new(&said[at..]);
        match Frame::read(&mut cursor, structured) {
            Ok(Frame::Last) => {
                at += cursor.position();
                break;
            }
            Ok(frame) => {
                assert!(!frame.name().is_empty(), "a frame without a name");
                if let Frame::Next(log) = frame {
                    traces.push(log);
                }
                let length = cursor.position();
                assert!(length >= 8, "a frame of {length} bytes");
                at += length;
            }
            Err(ReadError::Incomplete) => {
                // What is cut nowhere is never mistaken for something else.
                return;
            }
            Err(ReadError::Bad(error)) => {
                assert!(!error.to_string().is_empty(), "an error says something");
                return;
            }
        }
    }
    let mut cursor = Cursor::new(&said[at..]);
    let result = match kind % 7 {
        0 => cursor.number().map(|_| ()),
        1 => cursor.flag().map(|_| ()),
        2 => cursor.text().map(|_| ()),
        3 => cursor.path(store).map(|_| ()),
        4 => cursor.paths(store).map(|_| ()),
        5 => cursor
            .optional_path(store)
            .and_then(|_| cursor.sha256())
            .and_then(|_| cursor.paths(store))
            .map(|_| ()),
        _ => cursor.list(|cursor| cursor.text()).map(|_| ()),
    };
    if result == Err(ReadError::Incomplete) {
        // More may come, and then there is a result or an error.
        let mut more = said[at..].to_vec();
        more.extend([0; 64]);
        let _ = Cursor::new(&more).number();
    }
    traces.push(Bytes::copy_from_slice(&said[at..]));
}
