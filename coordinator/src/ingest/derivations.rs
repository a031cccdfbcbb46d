//! Derivations that clients send.
//!
//! A derivation is taken only with its whole closure, under the path that follows from its text, and
//! with the output paths that follow from its inputs: otherwise it could claim the path of an output
//! that others trust.

use std::collections::BTreeMap;

use bytes::Bytes;
use grange_coordinator_core::Input;
use grange_derivation::{Derivation, DerivationHash, StorePath, derivation_hash, verify_outputs};
use grange_interfaces::{Body, Fault, FrameError, Frames, Refusal};
use grange_model::{DerivationRecord, InputRef, Item, Key, OutputRef, Record};

use super::stream::broke_off;
use crate::available::available;
use crate::convert::{digest, item, parse_path, store_refusal, with_sources};
use crate::handle::Handle;
use crate::retain::Reliance;
use crate::shared::Shared;

/// How many derivations are committed together.
const GROUP: usize = 200;

/// Takes the derivations of a body, inputs before those that use them.
pub(crate) async fn put_derivations(
    shared: &Shared,
    handle: &Handle,
    body: Body,
) -> Result<(), Refusal> {
    let mut frames = Frames::new(body, shared.config.max_derivation);
    let mut verifier = Verifier::default();
    let mut records = Vec::new();
    // On their sources, until they are durable.
    let mut relied = Vec::new();
    while let Some((path, text)) = frames.next().await.map_err(|error| bad_body(&error))? {
        let path = String::from_utf8(path.to_vec())
            .map_err(|_| Refusal::new(Fault::Caller, "a derivation's path is not text"))?;
        let path = parse_path(&shared.config, &path)?;
        let (both, reliance) = verifier.verify(shared, &path, &text).await?;
        relied.push(reliance);
        records.extend(both);
        if records.len() >= 2 * GROUP {
            store_records(handle, std::mem::take(&mut records)).await?;
            relied.clear();
        }
    }
    store_records(handle, records).await?;
    drop(relied);
    Ok(())
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

/// Verifies derivations that come one after the other, inputs before those that use them. It holds those that others
/// may need.
#[derive(Default)]
pub(crate) struct Verifier(BTreeMap<grange_model::Digest, DerivationRecord>);

impl Verifier {
    /// The records of a derivation.
    pub(crate) async fn verify(
        &mut self,
        shared: &Shared,
        path: &StorePath,
        text: &Bytes,
    ) -> Result<([Record; 2], Reliance), Refusal> {
        let wrong = |what: String| Refusal::new(Fault::Caller, format!("{path}: {what}"));
        let name = path
            .derivation_name()
            .ok_or_else(|| wrong("the name of a derivation ends in .drv".to_owned()))?;
        let derivation = Derivation::parse(path.store(), name, text)
            .map_err(|error| wrong(with_sources(&error)))?;
        let actual = derivation
            .path_of_text(text)
            .map_err(|error| wrong(error.to_string()))?;
        if actual != *path {
            return Err(wrong(format!("its content belongs to {actual}")));
        }
        self.read_inputs(shared, path, &derivation).await?;
        let sources = derivation.input_sources.iter().map(digest).collect();
        let reliance = shared.relied.rely(sources).await;
        self.check_sources(shared, path, &derivation).await?;
        let hash = |input: &StorePath| {
            self.0
                .get(&digest(input))
                .map(|record| DerivationHash(record.hash))
        };
        verify_outputs(&derivation, hash).map_err(|error| wrong(with_sources(&error)))?;
        let own = derivation_hash(&derivation, hash).map_err(|error| wrong(error.to_string()))?;
        let record = self.record(path, &derivation, own)?;
        self.0.insert(digest(path), record.clone());
        let text = Record::DerivationText {
            derivation: digest(path),
            text: text.to_vec(),
        };
        Ok(([text, Record::Derivation(record)], reliance))
    }

    /// Makes sure that all input derivations are at hand.
    async fn read_inputs(
        &mut self,
        shared: &Shared,
        path: &StorePath,
        derivation: &Derivation,
    ) -> Result<(), Refusal> {
        let unread = derivation
            .input_derivations
            .keys()
            .filter(|input| !self.0.contains_key(&digest(input)));
        let unread: Vec<&StorePath> = unread.collect();
        if unread.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = unread
            .iter()
            .map(|input| Key::Derivation(digest(input)))
            .collect();
        let found = shared.datastore.get(&keys).await.map_err(store_refusal)?;
        for (input, record) in unread.into_iter().zip(found) {
            let Some(Record::Derivation(record)) = record else {
                return Err(Refusal::new(
                    Fault::Caller,
                    format!("{path} needs {input}, which has to be sent before it"),
                ));
            };
            self.0.insert(digest(input), record);
        }
        Ok(())
    }

    async fn check_sources(
        &self,
        shared: &Shared,
        path: &StorePath,
        derivation: &Derivation,
    ) -> Result<(), Refusal> {
        let sources = || {
            derivation
                .input_sources
                .iter()
                .filter(|source| !source.is_derivation())
        };
        let digests: Vec<_> = sources().map(digest).collect();
        let found = available(shared, &digests).await?;
        match sources().zip(found).find(|(_, record)| record.is_none()) {
            Some((source, _)) => Err(Refusal::new(
                Fault::Caller,
                format!("{path} needs the source {source}, which has to be sent before it"),
            )),
            None => Ok(()),
        }
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
