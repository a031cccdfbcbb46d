//! What virtual build machines and their hosts say to each other, and emulators to us.

use std::path::{Path, PathBuf};

use grange_guest::protocol::{
    BREAK, Decoder, Frame, Kind, MAX_PAYLOAD, NONCE, Nonce, ProtocolError,
};
use grange_vm::qemu::Qmp;
use grange_vm::secrets::{SecretFile, receive_secrets, send_secrets};

use crate::formats::Scratch;
use crate::runtime::{PATIENCE, runtime};

/// What a decoder makes of bytes.
type Found = Vec<Result<Frame, ProtocolError>>;

/// A nonce that is in no corpus.
const LAST: Nonce = [0xd3; NONCE];

/// The first byte says whose decoder it is and how the rest is cut; the host's looks for the nonce `0123456789abcdef`.
pub(crate) fn frames(bytes: &[u8]) {
    let Some((how, sent)) = bytes.split_first() else {
        return;
    };
    let piece = usize::from(how >> 1) + 1;
    let nonce = *b"0123456789abcdef";
    let (new, begins): (fn(Nonce) -> Decoder, _) = match how & 1 {
        0 => (|_| Decoder::guest(), Kind::Hello),
        _ => (Decoder::host, Kind::Welcome),
    };
    let mut decoder = new(nonce);
    let found = decode(&mut decoder, sent, sent.len().max(1));
    let cut = decode(&mut new(nonce), sent, piece);
    assert_eq!(found, cut, "a cut changes nothing");
    assert!(decoder.skipped() <= sent.len() as u64);
    if let Some(first) = found.first() {
        let begun = first.as_ref().is_ok_and(|frame| frame.kind == begins);
        assert!(begun, "a conversation begins with {first:?}");
    }
    let mut rest = sent;
    for frame in found.iter().flatten() {
        assert!(frame.payload.len() <= MAX_PAYLOAD);
        let mut written = Vec::new();
        let encoded = frame.encode(&mut written);
        assert!(encoded.is_ok(), "{frame:?} was read: {encoded:?}");
        let place = rest
            .windows(written.len())
            .position(|part| part == written)
            .expect("what is written is what was read");
        rest = &rest[place + written.len()..];
    }
    if begins == Kind::Hello {
        hello_is_found(&mut decoder);
    }
}

/// Behind a break, whatever was there before.
fn hello_is_found(decoder: &mut Decoder) {
    let hello = Frame::new(Kind::Hello, 0, LAST.to_vec());
    let mut sent = vec![0; BREAK];
    hello.encode(&mut sent).expect("it has a nonce");
    let found = decode(decoder, &sent, 16 << 10);
    assert_eq!(
        found.last(),
        Some(&Ok(hello)),
        "a hello is found behind a break"
    );
}

fn decode(decoder: &mut Decoder, bytes: &[u8], piece: usize) -> Found {
    let mut found = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => found.push(Ok(frame)),
                Err(error) => found.push(Err(error)),
            }
            assert!(found.len() <= bytes.len() + 1, "it comes to no end");
        }
    }
    found
}

/// What an emulator says to whoever greets it, asks and listens.
pub(crate) fn qmp(bytes: &[u8]) {
    let stream = tokio::io::join(bytes, tokio::io::sink());
    let asking = async {
        let mut qmp = match Qmp::greet(stream, PATIENCE).await {
            Ok(qmp) => qmp,
            Err(error) => return error,
        };
        loop {
            if let Err(error) = qmp.execute("stop", ().into()).await
                && !matches!(error, grange_vm::qemu::QmpError::Refused { .. })
            {
                return error;
            }
            if let Err(error) = qmp.run_state().await {
                return error;
            }
            if let Err(error) = qmp.event().await {
                return error;
            }
        }
    };
    let asked = async { tokio::time::timeout(PATIENCE, asking).await };
    let ended = runtime().block_on(asked);
    let error = ended.expect("what ends is no more waited for");
    assert!(error.to_string().len() < 2 << 20, "an error is no flood");
}

/// The first byte says who speaks: the host with secrets, or the guest that wants them.
pub(crate) fn secrets(bytes: &[u8]) {
    let Some((who, said)) = bytes.split_first() else {
        return;
    };
    let mut stream = tokio::io::join(said, tokio::io::sink());
    if who & 1 == 1 {
        let secret = SecretFile {
            path: "/etc/key".into(),
            mode: 0o600,
            contents: b"secret".to_vec(),
        };
        let sending = async {
            let sending = send_secrets(&mut stream, std::slice::from_ref(&secret));
            tokio::time::timeout(PATIENCE, sending).await
        };
        let sent = runtime().block_on(sending);
        if let Err(error) = sent.expect("what ends is no more waited for") {
            assert!(!error.to_string().is_empty(), "an error says something");
        }
        return;
    }
    let scratch = Scratch::directory();
    let (outer, root) = (scratch.path(), scratch.path().join("root"));
    std::fs::create_dir_all(&root).expect("there is room for a directory");
    let receiving = async {
        let receiving = receive_secrets(&mut stream, &root);
        tokio::time::timeout(PATIENCE, receiving).await
    };
    let received = runtime().block_on(receiving);
    match received.expect("what ends is no more waited for") {
        Ok(paths) => {
            for path in paths {
                let below = path.strip_prefix("/").expect("a path is absolute");
                assert!(root.join(below).is_file(), "{} is there", path.display());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error says something"),
    }
    let beside = entries(outer);
    assert_eq!(
        beside,
        std::slice::from_ref(&root),
        "nothing is written elsewhere"
    );
    assert!(
        size(&root) <= said.len() as u64,
        "no more is written than came"
    );
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("it was just made");
    entries
        .map(|entry| entry.expect("it is there").path())
        .collect()
}

/// Bytes of all files in a directory, and in those in it; whatever was begun was taken back.
fn size(directory: &Path) -> u64 {
    let sizes = entries(directory).into_iter().map(|path| {
        let metadata = path.symlink_metadata().expect("it is there");
        if metadata.is_dir() {
            return size(&path);
        }
        metadata.len()
    });
    sizes.sum()
}
