//! guix-daemon: 1.2.0 (0x163), 1.5.0 (0x164).

use grange_derivation::{Hash, StoreDir, StorePath, paths};
use grange_interfaces::{ItemInfo, Job};

use super::{Incoming, Introduction, Options, Outcome, Seen, Speech, Watch, WayIn, WayOut};
use crate::config::FarmKey;
use crate::wire::{Cursor, Frame, Opcode, ReadError, Request, Trace, Traces, Version, WireError};

/// How guix-daemon speaks.
#[derive(Debug)]
pub(super) struct Guix;

impl Speech for Guix {
    fn newest(&self) -> Version {
        Version(0x164)
    }

    fn knows(&self, spoken: Version) -> bool {
        spoken.major() == 1 && spoken.minor() >= 0x63
    }

    fn known(&self) -> &'static str {
        "a guix-daemon speaks 0x163 or later"
    }

    fn introduce(&self, _version: Version, request: &mut Request) {
        // No processor to be bound to; no space to be reserved.
        request.number(0).number(0);
    }

    fn introduction(
        &self,
        _version: Version,
        _cursor: &mut Cursor<'_>,
    ) -> Result<Introduction, ReadError> {
        Ok(Introduction::default())
    }

    fn structured(&self, _version: Version) -> bool {
        false
    }

    fn options(&self, options: &Options) -> Request {
        let mut request = Request::new(Opcode::SetOptions);
        // Keep failed, keep going, fall back to building, verbosity.
        request.number(0).number(0).number(0).number(0);
        // Offload, verbosity of builds, type of log, traces, substitutes.
        request.number(0).number(0).number(0).number(1).number(0);
        let timeout = options.timeout_seconds.to_string();
        let silent = options.max_silent_seconds.to_string();
        let cores = options.cores.to_string();
        let pairs: [(&[u8], &[u8]); 7] = [
            (b"print-extended-build-trace", b"1"),
            (b"multiplexed-build-output", b"true"),
            (b"build-timeout", timeout.as_bytes()),
            (b"build-max-silent-time", silent.as_bytes()),
            (b"build-max-jobs", b"1"),
            (b"build-cores", cores.as_bytes()),
            (b"substitute-urls", b""),
        ];
        request.pairs(pairs);
        request
    }

    fn valid_paths(&self, paths: &[StorePath]) -> Request {
        let mut request = Request::new(Opcode::QueryValidPaths);
        request.paths(paths);
        request
    }

    fn path_info(
        &self,
        store: &StoreDir,
        path: &StorePath,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<ItemInfo>, ReadError> {
        item_info(store, path, cursor).map(Some)
    }

    fn way_in(&self, item: Incoming<'_>) -> WayIn {
        let info = item.info;
        let store = info.path.store();
        let others = || info.references.iter();
        let refers_to_itself = info.references.contains(&info.path);
        if let Some(text) = item.text {
            let hash = Hash::sha256(text).to_sha256().unwrap_or_default();
            let path = paths::text_path(store, info.path.name(), others(), &hash);
            if !refers_to_itself && path.as_ref() == Ok(&info.path) {
                let mut request = Request::new(Opcode::AddTextToStore);
                request.bytes(info.path.name().as_bytes()).bytes(text);
                request.paths(&info.references);
                return WayIn::Whole(request);
            }
        }
        let source = paths::source_path(store, info.path.name(), [], false, &info.nar_hash.0);
        if info.references.is_empty() && source.as_ref() == Ok(&info.path) {
            let mut request = Request::new(Opcode::AddToStore);
            request.bytes(info.path.name().as_bytes());
            request.flag(true).flag(true).bytes(b"sha256");
            return WayIn::Source(request);
        }
        WayIn::Export(Request::new(Opcode::ImportPaths))
    }

    fn way_out(&self, path: &StorePath) -> (Request, WayOut) {
        let mut request = Request::new(Opcode::ExportPath);
        request.path(path).flag(false);
        (request, WayOut::Messages)
    }

    fn wants_derivation(&self) -> bool {
        true
    }

    fn build(&self, job: &Job) -> Request {
        let mut request = Request::new(Opcode::BuildThings);
        request.paths([&job.path]).number(0);
        request
    }

    fn outcome(&self, _version: Version, cursor: &mut Cursor<'_>) -> Result<Outcome, ReadError> {
        match cursor.number()? {
            1 => Ok(Outcome {
                built: true,
                ..Outcome::default()
            }),
            other => Err(WireError::Result(other).into()),
        }
    }

    fn watch(&self, derivation: &StorePath) -> Box<dyn Watch> {
        Box::new(GuixWatch {
            derivation: derivation.to_string().into_bytes(),
            traces: Traces::default(),
            pid: None,
        })
    }

    fn command(&self, key: Option<&FarmKey>) -> String {
        match key {
            Some(FarmKey::Guix(key)) => {
                let file = String::from_utf8_lossy(&key.public().to_file()).into_owned();
                format!("guix archive --authorize <<'END'\n{}\nEND", file.trim_end())
            }
            _ => "guix archive --authorize < farm-key.pub".to_owned(),
        }
    }
}

/// Deriver, hash, references, registration time, size: what both say of an item.
pub(super) fn item_info(
    store: &StoreDir,
    path: &StorePath,
    cursor: &mut Cursor<'_>,
) -> Result<ItemInfo, ReadError> {
    let deriver = cursor.optional_path(store)?;
    let nar_hash = cursor.sha256()?;
    let mut references = cursor.paths(store)?;
    references.sort();
    let _registered = cursor.number()?;
    Ok(ItemInfo {
        path: path.clone(),
        nar_hash,
        nar_size: cursor.number()?,
        references,
        deriver,
    })
}

struct GuixWatch {
    derivation: Vec<u8>,
    traces: Traces,
    /// What the builder's output is marked with.
    pid: Option<u64>,
}

impl Watch for GuixWatch {
    fn see(&mut self, frame: Frame) -> Result<Vec<Seen>, WireError> {
        let Frame::Next(piece) = frame else {
            return Err(WireError::Misplaced(frame.name()));
        };
        let traces = self.traces.push(piece);
        Ok(traces
            .into_iter()
            .filter_map(|trace| self.seen(trace))
            .collect())
    }
}

impl GuixWatch {
    fn seen(&mut self, trace: Trace) -> Option<Seen> {
        Some(match trace {
            Trace::Started { derivation, pid } if derivation == self.derivation => {
                self.pid = pid;
                Seen::Started
            }
            Trace::Started { derivation, .. } => {
                Seen::Foreign(format!("builds {}", derivation.escape_ascii()))
            }
            Trace::SubstituterStarted(item) => {
                Seen::Foreign(format!("substitutes {}", item.escape_ascii()))
            }
            Trace::Output { pid, bytes } if self.pid == Some(pid) => Seen::Output(bytes),
            Trace::Output { pid, .. } => {
                Seen::Foreign(format!("runs a builder ({pid}) that it has not announced"))
            }
            Trace::Failed {
                derivation,
                timeout,
                text,
            } if derivation == self.derivation => Seen::Failed {
                message: text,
                timed_out: timeout,
            },
            Trace::HashMismatch { hashes, .. } => Seen::Mismatch(hashes),
            Trace::Line(line) => Seen::Said(String::from_utf8_lossy(&line).into_owned()),
            Trace::Succeeded(_) | Trace::Failed { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::incoming::text_item;

    #[test]
    fn options_as_guix_sends_them() {
        let options = Options {
            timeout_seconds: 60,
            max_silent_seconds: 30,
            cores: 2,
        };
        let request = Guix.options(&options);
        let mut cursor = Cursor::new(request.as_bytes());
        // Of the numbers only `print-build-trace` is set: no offloading, no substitutes.
        let numbers: Vec<_> = (0..10).map(|_| cursor.number().unwrap()).collect();
        assert_eq!(numbers, [19, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        let pairs = cursor
            .list(|cursor| Ok((cursor.text()?, cursor.text()?)))
            .unwrap();
        assert!(pairs.contains(&("multiplexed-build-output".into(), "true".into())));
        assert!(pairs.contains(&("build-timeout".into(), "60".into())));
        assert!(pairs.contains(&("build-max-silent-time".into(), "30".into())));
        assert_eq!(cursor.position(), request.as_bytes().len());
    }

    #[test]
    fn each_item_has_its_way_in() {
        let store = StoreDir::guix();
        let text = Bytes::from_static(b"hello");
        let hash = Hash::sha256(&text).to_sha256().unwrap();
        let path = paths::text_path(&store, "x.drv", [], &hash).unwrap();
        let (mut info, _) = text_item(&path, &text, vec![]);
        let way = |info: &ItemInfo, text| Guix.way_in(Incoming { info, text });
        assert!(matches!(way(&info, Some(&text)), WayIn::Whole(_)));
        let other = Bytes::from_static(b"other");
        assert!(matches!(way(&info, Some(&other)), WayIn::Export(_)));
        info.path = paths::source_path(&store, "x", [], false, &info.nar_hash.0).unwrap();
        assert!(matches!(way(&info, None), WayIn::Source(_)));
        // A source with references is not what add-to-store makes.
        info.references = vec![path];
        assert!(matches!(way(&info, None), WayIn::Export(_)));
    }
}
