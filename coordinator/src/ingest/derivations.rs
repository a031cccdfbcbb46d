//! Derivations that clients send.
//!
//! A derivation is taken only with its whole closure, under the path that follows from its text, and
//! with the output paths that follow from its inputs: otherwise it could claim the path of an output
//! that others trust.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use grange_coordinator_core::Input;
use grange_derivation::{Derivation, DerivationHash, StorePath, derivation_hash, verify_outputs};
use grange_interfaces::{Body, Fault, FrameError, Frames, Refusal};
use grange_model::{DerivationRecord, InputRef, Item, Key, OutputRef, Record};
use tokio::task::JoinHandle;

use super::stream::broke_off;
use crate::available::available;
use crate::convert::{digest, item, parse_path, store_refusal, with_sources};
use crate::handle::Handle;
use crate::retain::Reliance;
use crate::shared::Shared;

/// How many derivations are verified and committed together, unless their texts are long.
const GROUP: usize = 200;
const GROUP_BYTES: usize = 4 << 20;
/// On how many threads a group is parsed.
const PARTS: usize = 4;

/// Takes the derivations of a body, inputs before those that use them.
pub(crate) async fn put_derivations(
    shared: &Shared,
    handle: &Handle,
    body: Body,
) -> Result<(), Refusal> {
    let mut frames = Frames::new(body, shared.config.max_derivation);
    let mut verifier = Verifier::default();
    // A group is brought to the disk while the next one is verified.
    let mut storing = None;
    loop {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while group.len() < GROUP
            && bytes < GROUP_BYTES
            && let Some((path, text)) = frames.next().await.map_err(|error| bad_body(&error))?
        {
            let path = String::from_utf8(path.to_vec())
                .map_err(|_| Refusal::new(Fault::Caller, "a derivation's path is not text"))?;
            bytes += text.len();
            group.push((parse_path(&shared.config, &path)?, text));
        }
        if group.is_empty() {
            break;
        }
        let (records, reliance) = verifier.verify(shared, &group).await?;
        let handle = handle.clone();
        let store = async move {
            let stored = store_records(&handle, records).await;
            // On their sources, until they are durable.
            drop(reliance);
            stored
        };
        // What needs a derivation must not be there without it, or it would never be sent again.
        if let Some(before) = storing.take() {
            stored(before).await?;
        }
        storing = Some(tokio::spawn(store));
    }
    match storing {
        Some(last) => stored(last).await,
        None => Ok(()),
    }
}

async fn stored(storing: JoinHandle<Result<(), Refusal>>) -> Result<(), Refusal> {
    let failed = |error| Refusal::new(Fault::Us, format!("storing derivations failed: {error}"));
    storing.await.map_err(failed)?
}

fn bad_body(error: &FrameError) -> Refusal {
    match error {
        FrameError::Body(error) => broke_off(error),
        other => Refusal::new(Fault::Caller, other.to_string()),
    }
}

/// Makes verified records durable.
pub(crate) async fn store_records(handle: &Handle, records: Vec<Record>) -> Result<(), Refusal> {
    if records.is_empty() {
        return Ok(());
    }
    handle
        .request(move |ticket| Input::Store { ticket, records })
        .await?;
    Ok(())
}

/// Verifies derivations that come one after the other, inputs before those that use them. It holds what others may need
/// of them.
#[derive(Default)]
pub(crate) struct Verifier(BTreeMap<grange_model::Digest, Known>);

/// What a derivation's users need of it.
struct Known {
    hash: DerivationHash,
    outputs: Vec<OutputRef>,
}

impl Known {
    fn new(record: &DerivationRecord) -> Self {
        Self {
            hash: DerivationHash(record.hash),
            outputs: record.outputs.clone(),
        }
    }
}

impl Verifier {
    /// The records of derivations. What they need that is not here is read from the Datastore together.
    pub(crate) async fn verify(
        &mut self,
        shared: &Shared,
        texts: &[(StorePath, Bytes)],
    ) -> Result<(Vec<Record>, Reliance), Refusal> {
        let parsed = parse_all(texts).await?;
        let all = || texts.iter().map(|(path, _)| path).zip(&parsed);
        self.read_inputs(shared, all()).await?;
        let sources: BTreeSet<_> = parsed.iter().flat_map(sources).map(digest).collect();
        let reliance = shared.relied.rely(sources.into_iter().collect()).await;
        check_sources(shared, all()).await?;
        let mut records = Vec::with_capacity(2 * texts.len());
        for ((path, text), derivation) in texts.iter().zip(&parsed) {
            records.extend(self.verify_one(path, text, derivation)?);
        }
        Ok((records, reliance))
    }

    fn verify_one(
        &mut self,
        path: &StorePath,
        text: &Bytes,
        derivation: &Derivation,
    ) -> Result<[Record; 2], Refusal> {
        let wrong = |what: String| Refusal::new(Fault::Caller, format!("{path}: {what}"));
        let mut inputs = derivation.input_derivations.keys();
        if let Some(input) = inputs.find(|input| !self.0.contains_key(&digest(input))) {
            return Err(Refusal::new(
                Fault::Caller,
                format!("{path} needs {input}, which has to be sent before it"),
            ));
        }
        let hash = |input: &StorePath| {
            let known = self.0.get(&digest(input));
            known.map(|known| known.hash)
        };
        verify_outputs(derivation, hash).map_err(|error| wrong(with_sources(&error)))?;
        let own = derivation_hash(derivation, hash).map_err(|error| wrong(error.to_string()))?;
        let record = self.record(path, derivation, own)?;
        self.0.insert(digest(path), Known::new(&record));
        let text = Record::DerivationText {
            derivation: digest(path),
            text: text.to_vec(),
        };
        Ok([text, Record::Derivation(record)])
    }

    /// Has all input derivations at hand that are there and not among those before their user.
    async fn read_inputs<'a>(
        &mut self,
        shared: &Shared,
        all: impl Iterator<Item = (&'a StorePath, &'a Derivation)>,
    ) -> Result<(), Refusal> {
        let (mut before, mut unread) = (HashSet::new(), BTreeSet::new());
        for (path, derivation) in all {
            let inputs = derivation.input_derivations.keys().map(digest);
            unread.extend(inputs.filter(|it| !self.0.contains_key(it) && !before.contains(it)));
            before.insert(digest(path));
        }
        if unread.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = unread.into_iter().map(Key::Derivation).collect();
        let found = shared.datastore.get(&keys).await.map_err(store_refusal)?;
        for record in found.into_iter().flatten() {
            if let Record::Derivation(record) = record {
                self.0.insert(record.item.digest, Known::new(&record));
            }
        }
        Ok(())
    }

    fn record(
        &self,
        path: &StorePath,
        derivation: &Derivation,
        hash: DerivationHash,
    ) -> Result<DerivationRecord, Refusal> {
        let wrong = |what: String| Refusal::new(Fault::Caller, format!("{path}: {what}"));
        let text = |what: &str, bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| wrong(format!("its {what} is not text")))
        };
        let mut inputs = Vec::new();
        for (input, wanted) in &derivation.input_derivations {
            let record = &self.0[&digest(input)];
            for name in wanted {
                let output = record
                    .outputs
                    .iter()
                    .find(|output| output.name == name.as_str());
                let output =
                    output.ok_or_else(|| wrong(format!("{input} has no output {name}")))?;
                inputs.push(InputRef {
                    derivation: digest(input),
                    output: output.item.digest,
                });
            }
        }
        inputs.sort_unstable();
        let options = derivation
            .options()
            .map_err(|error| wrong(with_sources(&error)))?;
        let features = options.required_system_features.iter();
        let features: Result<Vec<_>, _> = features
            .map(|feature| text("required system feature", feature))
            .collect();
        Ok(DerivationRecord {
            item: item(path),
            store: path.store().as_str().to_owned(),
            system: text("system", &derivation.system)?,
            outputs: derivation
                .outputs
                .iter()
                .map(|(name, output)| OutputRef {
                    name: name.as_str().to_owned(),
                    item: item(&output.path),
                })
                .collect(),
            inputs,
            sources: derivation
                .input_sources
                .iter()
                .map(item)
                .collect::<Vec<Item>>(),
            hash: hash.0,
            features: features?,
        })
    }
}

/// The derivations that these are; many are parsed on several threads.
async fn parse_all(texts: &[(StorePath, Bytes)]) -> Result<Vec<Derivation>, Refusal> {
    let parse_part = |part: &[(StorePath, Bytes)]| -> Result<Vec<_>, Refusal> {
        part.iter().map(|(path, text)| parse(path, text)).collect()
    };
    if texts.len() < PARTS {
        return parse_part(texts);
    }
    let parts = texts.chunks(texts.len().div_ceil(PARTS));
    let parsing = parts.map(|part| {
        let part = part.to_vec();
        tokio::task::spawn_blocking(move || parse_part(&part))
    });
    let mut all = Vec::with_capacity(texts.len());
    for part in parsing.collect::<Vec<_>>() {
        let failed = |error| Refusal::new(Fault::Us, format!("a parser ended: {error}"));
        all.extend(part.await.map_err(failed)??);
    }
    Ok(all)
}

/// A derivation, if its path is the one that follows from its text.
fn parse(path: &StorePath, text: &Bytes) -> Result<Derivation, Refusal> {
    let wrong = |what: String| Refusal::new(Fault::Caller, format!("{path}: {what}"));
    let name = path
        .derivation_name()
        .ok_or_else(|| wrong("the name of a derivation ends in .drv".to_owned()))?;
    let derivation =
        Derivation::parse(path.store(), name, text).map_err(|error| wrong(with_sources(&error)))?;
    let actual = derivation
        .path_of_text(text)
        .map_err(|error| wrong(error.to_string()))?;
    if actual != *path {
        return Err(wrong(format!("its content belongs to {actual}")));
    }
    Ok(derivation)
}

fn sources(derivation: &Derivation) -> impl Iterator<Item = &StorePath> {
    derivation.input_sources.iter()
}

/// Makes sure that all sources that are no derivations are available.
async fn check_sources<'a>(
    shared: &Shared,
    all: impl Iterator<Item = (&'a StorePath, &'a Derivation)>,
) -> Result<(), Refusal> {
    let mut wanted = BTreeMap::new();
    for (path, derivation) in all {
        for source in sources(derivation).filter(|it| !it.is_derivation()) {
            wanted.entry(digest(source)).or_insert((path, source));
        }
    }
    let digests: Vec<_> = wanted.keys().copied().collect();
    let found = available(shared, &digests).await?;
    match wanted.values().zip(found).find(|(_, it)| it.is_none()) {
        Some(((path, source), _)) => Err(Refusal::new(
            Fault::Caller,
            format!("{path} needs the source {source}, which has to be sent before it"),
        )),
        None => Ok(()),
    }
}
