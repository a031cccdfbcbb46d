//! nix-daemon: 2.8.0 (0x122) to 2.34.8 (0x126).

use std::collections::BTreeSet;

use bytes::{BufMut, BytesMut};
use grange_derivation::{Hash, StoreDir, StorePath};
use grange_interfaces::{ItemInfo, Job};

use super::guix::item_info;
use super::{Incoming, Introduction, Options, Outcome, Seen, Speech, Watch, WayIn, WayOut};
use crate::config::FarmKey;
use crate::wire::{Cursor, Field, Frame, Opcode, ReadError, Request, Version, WireError, plain};

/// How nix-daemon speaks.
#[derive(Debug)]
pub(super) struct Nix;

/// Kinds of activities.
const COPY_PATH: u64 = 100;
const BUILD: u64 = 105;
const SUBSTITUTE: u64 = 108;
/// Kinds of results.
const LOG_LINE: u64 = 101;

/// What a build result says first.
mod status {
    pub(super) const BUILT: u64 = 0;
    pub(super) const ALREADY_VALID: u64 = 2;
    pub(super) const OUTPUT_REJECTED: u64 = 5;
    pub(super) const TIMED_OUT: u64 = 8;
}

impl Speech for Nix {
    fn newest(&self) -> Version {
        Version(0x126)
    }

    fn knows(&self, spoken: Version) -> bool {
        // Minor numbers from 0x60 on are those of Guix.
        spoken.major() == 1 && (33..0x60).contains(&spoken.minor())
    }

    fn known(&self) -> &'static str {
        "a nix-daemon speaks 0x121 or later, that is Nix 2.4 or later"
    }

    fn introduce(&self, version: Version, request: &mut Request) {
        if version.minor() >= 38 {
            // No features.
            request.number(0);
        }
        // No processor to be bound to; no space to be reserved.
        request.number(0).number(0);
    }

    fn introduction(
        &self,
        version: Version,
        cursor: &mut Cursor<'_>,
    ) -> Result<Introduction, ReadError> {
        if version.minor() >= 38 {
            cursor.list(|cursor| cursor.bytes().map(drop))?;
        }
        let daemon = Some(cursor.text()?);
        let trusted = match version.minor() {
            ..35 => None,
            _ => match cursor.number()? {
                1 => Some(true),
                2 => Some(false),
                _ => None,
            },
        };
        Ok(Introduction { daemon, trusted })
    }

    fn structured(&self, version: Version) -> bool {
        version.minor() >= 26
    }

    fn options(&self, options: &Options) -> Request {
        let mut request = Request::new(Opcode::SetOptions);
        // Keep failed, keep going, fall back to building, verbosity.
        request.number(0).number(0).number(0).number(0);
        request.number(1).number(options.max_silent_seconds);
        // Build hook, verbosity of builds, type of log, traces.
        request.number(0).number(0).number(0).number(0);
        request.number(options.cores.into()).flag(false);
        let timeout = options.timeout_seconds.to_string();
        let pairs: [(&[u8], &[u8]); 2] = [(b"timeout", timeout.as_bytes()), (b"builders", b"")];
        request.pairs(pairs);
        request
    }

    fn valid_paths(&self, paths: &[StorePath]) -> Request {
        let mut request = Request::new(Opcode::QueryValidPaths);
        // Without substituting them.
        request.paths(paths).flag(false);
        request
    }

    fn path_info(
        &self,
        store: &StoreDir,
        path: &StorePath,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<ItemInfo>, ReadError> {
        if !cursor.flag()? {
            return Ok(None);
        }
        let info = item_info(store, path, cursor)?;
        // Whether it was built here, signatures, what its content follows from.
        let _ultimate = cursor.number()?;
        cursor.list(|cursor| cursor.bytes().map(drop))?;
        let _content = cursor.bytes()?;
        Ok(Some(info))
    }

    fn way_in(&self, item: Incoming<'_>) -> WayIn {
        let info = item.info;
        let mut request = Request::new(Opcode::AddToStoreNar);
        request
            .path(&info.path)
            .optional_path(info.deriver.as_ref())
            .bytes(Hash::from_sha256(info.nar_hash.0).to_base16().as_bytes())
            .paths(&info.references);
        // When it was registered, size, built here?, signatures, what its content follows from.
        request.number(0).number(info.nar_size);
        request.flag(false).number(0).bytes(b"");
        // No repair; without signature, which the daemon grants to who is trusted.
        request.flag(false).flag(true);
        WayIn::Framed(request)
    }

    fn way_out(&self, path: &StorePath) -> (Request, WayOut) {
        let mut request = Request::new(Opcode::NarFromPath);
        request.path(path);
        (request, WayOut::Raw)
    }

    fn wants_derivation(&self) -> bool {
        false
    }

    /// The derivation with its inputs for sources, as Nix's own remote builds have it: no other derivation can be built
    /// by it, and none has to be in the store.
    fn build(&self, job: &Job) -> Request {
        let derivation = &job.derivation;
        let mut request = Request::new(Opcode::BuildDerivation);
        request
            .path(&job.path)
            .number(derivation.outputs.len() as u64);
        for (name, output) in &derivation.outputs {
            request.bytes(name.as_str().as_bytes()).path(&output.path);
            match &output.fixed {
                Some(fixed) => {
                    request.bytes(fixed.method().as_bytes());
                    request.bytes(fixed.hash.to_base16().as_bytes());
                }
                None => {
                    request.bytes(b"").bytes(b"");
                }
            }
        }
        request.paths(&job.inputs);
        request.bytes(&derivation.system).bytes(&derivation.builder);
        request.number(derivation.args.len() as u64);
        for argument in &derivation.args {
            request.bytes(argument);
        }
        let pairs = derivation.env.iter();
        request.pairs(pairs.map(|(name, value)| (&name[..], &value[..])));
        // Not again, not to check.
        request.number(0);
        request
    }

    fn outcome(&self, version: Version, cursor: &mut Cursor<'_>) -> Result<Outcome, ReadError> {
        let said = cursor.number()?;
        let message = cursor.text()?;
        // How often, deterministic?, from, to.
        for _ in 0..4 {
            cursor.number()?;
        }
        if version.minor() >= 37 {
            for _ in 0..2 {
                if cursor.flag()? {
                    cursor.number()?;
                }
            }
        }
        cursor.list(|cursor| {
            cursor.bytes()?;
            cursor.bytes().map(drop)
        })?;
        Ok(Outcome {
            built: matches!(said, status::BUILT | status::ALREADY_VALID),
            message: head(&message),
            timed_out: said == status::TIMED_OUT,
            rejected: said == status::OUTPUT_REJECTED,
        })
    }

    fn watch(&self, derivation: &StorePath) -> Box<dyn Watch> {
        Box::new(NixWatch {
            derivation: derivation.to_string().into_bytes(),
            builds: BTreeSet::new(),
        })
    }

    fn command(&self, _key: Option<&FarmKey>) -> String {
        "echo \"extra-trusted-users = AGENT-USER\" >> /etc/nix/nix.conf && systemctl restart nix-daemon".to_owned()
    }
}

/// A message without colours and without the builder's last words, in which anything may stand.
fn head(message: &str) -> String {
    let plain = plain(message);
    let quoted = |line: &&str| {
        let line = line.trim_start().to_ascii_lowercase();
        line.starts_with("last ") && line.ends_with(" log lines:")
            || line.starts_with("last log line")
            || line.starts_with("for full logs, run")
    };
    let lines: Vec<_> = plain.lines().take_while(|line| !quoted(line)).collect();
    lines.join("\n").trim_end_matches([';', ' ']).to_owned()
}

struct NixWatch {
    derivation: Vec<u8>,
    /// What is being built, by the activity's number.
    builds: BTreeSet<u64>,
}

impl Watch for NixWatch {
    fn see(&mut self, frame: Frame) -> Result<Vec<Seen>, WireError> {
        Ok(match frame {
            Frame::Next(text) => vec![Seen::Said(plain(&String::from_utf8_lossy(&text)))],
            Frame::StartActivity {
                id,
                kind: BUILD,
                fields,
                ..
            } => match fields.first() {
                Some(Field::Text(derivation)) if *derivation == self.derivation => {
                    self.builds.insert(id);
                    vec![Seen::Started]
                }
                Some(Field::Text(other)) => {
                    vec![Seen::Foreign(format!("builds {}", other.escape_ascii()))]
                }
                _ => return Err(WireError::Misplaced("START_ACTIVITY without derivation")),
            },
            Frame::StartActivity {
                kind: COPY_PATH | SUBSTITUTE,
                text,
                ..
            } => vec![Seen::Foreign(format!(
                "substitutes: {}",
                text.escape_ascii()
            ))],
            Frame::StopActivity(id) => {
                self.builds.remove(&id);
                Vec::new()
            }
            Frame::Result {
                id,
                kind: LOG_LINE,
                fields,
            } if self.builds.contains(&id) => match fields.into_iter().next() {
                Some(Field::Text(line)) => {
                    let mut bytes = BytesMut::with_capacity(line.len() + 1);
                    bytes.put(line);
                    bytes.put_u8(b'\n');
                    vec![Seen::Output(bytes.freeze())]
                }
                _ => return Err(WireError::Misplaced("RESULT without a line")),
            },
            Frame::StartActivity { .. } | Frame::Result { .. } => Vec::new(),
            frame @ (Frame::Read(_) | Frame::Write(_) | Frame::Last | Frame::Error { .. }) => {
                return Err(WireError::Misplaced(frame.name()));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_log_line_is_of_the_build_that_was_asked_for() {
        let path = StorePath::new(&StoreDir::nix(), [0; 20], "x.drv").unwrap();
        let mut watch = Nix.watch(&path);
        let start = |id, path: &str| Frame::StartActivity {
            id,
            kind: BUILD,
            text: Bytes::new(),
            fields: vec![Field::Text(path.to_owned().into())],
        };
        let line = |id| Frame::Result {
            id,
            kind: LOG_LINE,
            fields: vec![Field::Text(Bytes::from_static(b"said"))],
        };
        assert_eq!(watch.see(line(7)), Ok(vec![]));
        assert_eq!(
            watch.see(start(7, &path.to_string())),
            Ok(vec![Seen::Started])
        );
        let said = Seen::Output(Bytes::from_static(b"said\n"));
        assert_eq!(watch.see(line(7)), Ok(vec![said]));
        assert_eq!(watch.see(line(8)), Ok(vec![]));
        assert_eq!(watch.see(Frame::StopActivity(7)), Ok(vec![]));
        assert_eq!(watch.see(line(7)), Ok(vec![]));
        let other = watch.see(start(9, "/nix/store/other.drv"));
        assert_eq!(
            other,
            Ok(vec![Seen::Foreign(
                "builds /nix/store/other.drv".to_owned()
            )])
        );
        assert!(watch.see(Frame::Read(1)).is_err());
    }

    #[test]
    fn a_builders_last_words_are_not_the_daemons() {
        let message = "\x1b[0mbuilder for '\x1b[35;1m/nix/store/x-fail.drv\x1b[0m' failed with exit code 3;\n\
                       last 2 log lines:\n> failed with exit code 0\n> on stderr\nFor full logs, run 'x'.";
        assert_eq!(
            head(message),
            "builder for '/nix/store/x-fail.drv' failed with exit code 3"
        );
        let message = "Cannot build 'x'.\nReason: builder failed with exit code 3.\nOutput paths:\n  y\nLast 1 log lines:\n> z";
        assert_eq!(
            head(message),
            "Cannot build 'x'.\nReason: builder failed with exit code 3.\nOutput paths:\n  y"
        );
    }
}
