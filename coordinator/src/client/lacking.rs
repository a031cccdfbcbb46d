//! Finding out what the coordinator lacks. What the client does not have either, the coordinator is asked to fetch from
//! its substitute servers.
//!
//! A derivation that it has, it has with its whole closure: so only what it lacks is looked into, level by level from
//! the roots. Of 1,000 derivations of which 10 are new, about 10 are ever read.

use std::collections::{BTreeMap, BTreeSet};

use grange_derivation::graph::{GraphError, references_first};
use grange_derivation::{Derivation, StorePath};
use grange_interfaces::message::{Answer, Message};

use super::{Client, ClientError, ClosureSource, SourceError, SourceInfo};

/// The most paths in one question.
const PATHS: usize = 2_000;
/// As what it asks which version of the protocol is spoken.
const SOFTWARE: &str = concat!("grange ", env!("CARGO_PKG_VERSION"));

/// What has to be sent, each list with inputs before those that need them.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// Derivations and the bytes of their texts.
    pub(super) derivations: Vec<(StorePath, u64)>,
    /// Sources.
    pub(super) sources: Vec<(StorePath, SourceInfo)>,
}

struct Node {
    text_size: u64,
    inputs: Vec<StorePath>,
}

impl Client {
    /// What has to be sent for these derivations.
    pub(super) async fn lacking(
        &self,
        roots: impl IntoIterator<Item = StorePath>,
        source: &dyn ClosureSource,
    ) -> Result<Lacking, ClientError> {
        let mut level: BTreeSet<StorePath> = roots.into_iter().collect();
        let mut asked = level.clone();
        let mut nodes: BTreeMap<StorePath, Node> = BTreeMap::new();
        let mut items = BTreeSet::new();
        while !level.is_empty() {
            let lacking = self.ask_lacking(level, true).await?;
            level = BTreeSet::new();
            let mut not_there = BTreeMap::new();
            for path in lacking {
                let text = match source.derivation_text(&path).await {
                    Err(error @ SourceError::NotThere { .. }) => {
                        not_there.insert(path.to_string(), error);
                        continue;
                    }
                    text => text?,
                };
                let derivation = parse(&path, &text)?;
                let inputs: Vec<StorePath> = derivation.input_derivations.into_keys().collect();
                level.extend(
                    inputs
                        .iter()
                        .filter(|input| asked.insert((*input).clone()))
                        .cloned(),
                );
                items.extend(derivation.input_sources);
                nodes.insert(
                    path,
                    Node {
                        text_size: text.len() as u64,
                        inputs,
                    },
                );
            }
            self.obtain(not_there, true).await?;
        }
        let order = order(nodes.keys(), |path| {
            nodes.get(path).map(|node| node.inputs.as_slice())
        })?;
        let size = |path: &StorePath| nodes.get(path).map_or(0, |node| node.text_size);
        Ok(Lacking {
            derivations: order
                .into_iter()
                .map(|path| {
                    let size = size(&path);
                    (path, size)
                })
                .collect(),
            sources: self.lacking_sources(items, source).await?,
        })
    }

    async fn lacking_sources(
        &self,
        mut level: BTreeSet<StorePath>,
        source: &dyn ClosureSource,
    ) -> Result<Vec<(StorePath, SourceInfo)>, ClientError> {
        let mut asked = level.clone();
        let mut infos: BTreeMap<StorePath, SourceInfo> = BTreeMap::new();
        while !level.is_empty() {
            let lacking = self.ask_lacking(level, false).await?;
            level = BTreeSet::new();
            let mut not_there = BTreeMap::new();
            for path in lacking {
                let info = match source.source_info(&path).await {
                    Err(error @ SourceError::NotThere { .. }) => {
                        not_there.insert(path.to_string(), error);
                        continue;
                    }
                    info => info?,
                };
                level.extend(
                    info.references
                        .iter()
                        .filter(|path| asked.insert((*path).clone()))
                        .cloned(),
                );
                infos.insert(path, info);
            }
            self.obtain(not_there, false).await?;
        }
        let order = order(infos.keys(), |path| {
            infos.get(path).map(|info| info.references.as_slice())
        })?;
        Ok(order
            .into_iter()
            .filter_map(|path| infos.remove_entry(&path))
            .collect())
    }

    /// Has the coordinator fetch from its substitute servers what is not there.
    async fn obtain(
        &self,
        mut not_there: BTreeMap<String, SourceError>,
        derivations: bool,
    ) -> Result<(), ClientError> {
        let paths: Vec<_> = not_there.keys().cloned().collect();
        for part in paths.chunks(PATHS) {
            let (derivations, items) = sorted(part.to_vec(), derivations);
            let message = Message::Obtain { derivations, items };
            // A coordinator that is older does not know the question, and obtains nothing.
            let lacking = if self.hello(SOFTWARE).await?.version < message.since() {
                part.to_vec()
            } else {
                let Answer::Lacking { derivations, items } = self.ask(message).await? else {
                    return Err(ClientError::Answer { question: "Obtain" });
                };
                [derivations, items].concat()
            };
            let mut lacking = lacking.iter();
            if let Some(error) = lacking.find_map(|path| not_there.remove(path)) {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Which of these it does not have.
    async fn ask_lacking(
        &self,
        paths: BTreeSet<StorePath>,
        derivations: bool,
    ) -> Result<Vec<StorePath>, ClientError> {
        let paths: Vec<StorePath> = paths.into_iter().collect();
        let mut lacking = Vec::new();
        for part in paths.chunks(PATHS) {
            let names = part.iter().map(ToString::to_string).collect();
            let (derivations, items) = sorted(names, derivations);
            let message = Message::Lacking { derivations, items };
            let Answer::Lacking { derivations, items } = self.ask(message).await? else {
                return Err(ClientError::Answer {
                    question: "Lacking",
                });
            };
            let named: BTreeSet<String> = derivations.into_iter().chain(items).collect();
            lacking.extend(
                part.iter()
                    .filter(|path| named.contains(&path.to_string()))
                    .cloned(),
            );
        }
        Ok(lacking)
    }
}

/// As derivations, or as other items.
fn sorted(names: Vec<String>, derivations: bool) -> (Vec<String>, Vec<String>) {
    if derivations {
        (names, Vec::new())
    } else {
        (Vec::new(), names)
    }
}

/// Reads a derivation and makes sure that it lies where its text belongs: the coordinator would refuse it otherwise.
fn parse(path: &StorePath, text: &[u8]) -> Result<Derivation, SourceError> {
    let name = path.derivation_name().unwrap_or_else(|| path.name());
    let derivation =
        Derivation::parse(path.store(), name, text).map_err(|source| SourceError::Derivation {
            path: path.clone(),
            source: Box::new(source),
        })?;
    match derivation.path_of_text(text) {
        Ok(computed) if computed == *path => Ok(derivation),
        Ok(computed) => Err(SourceError::WrongPath {
            path: path.clone(),
            computed: Box::new(computed),
        }),
        // A name that fits its path fits the path that is computed with it.
        Err(_) => Err(SourceError::NotASource(path.clone())),
    }
}

/// Those of `paths` in an order in which inputs come first. What is not among them has no inputs here.
fn order<'a>(
    paths: impl Iterator<Item = &'a StorePath>,
    inputs: impl Fn(&StorePath) -> Option<&'a [StorePath]>,
) -> Result<Vec<StorePath>, SourceError> {
    let inputs = |path: &StorePath| Some(inputs(path)?.to_vec());
    references_first(paths.cloned(), inputs).map_err(|error| match error {
        GraphError::Cycle(paths) => {
            let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
            SourceError::Cycle(names.join(" -> "))
        }
        other => SourceError::Cycle(other.to_string()),
    })
}
