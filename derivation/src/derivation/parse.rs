//! The strict parser: it takes exactly the texts that the printer writes.
//!
//! A derivation's path is the hash of its text, and daemons print derivations anew. So whatever they would print
//! differently (unsorted lists, needless escapes, hashes in another base) is refused here instead of being found
//! out when a path does not match.

use super::cursor::Cursor;
use super::error::{ParseError, ParseErrorKind as Kind};
use super::{Derivation, FixedOutput, Output, OutputName};
use crate::name::check_name;
use crate::store_path::printable;
use crate::{Hash, HashAlgo, StoreDir, StorePath};
use std::borrow::Cow;
use std::collections::BTreeSet;

type Input = (StorePath, BTreeSet<OutputName>);

impl Derivation {
    /// Parses the text of the derivation `name` (its file's name without hash and `.drv`) of a store.
    ///
    /// # Errors
    /// If the text is malformed, would be printed differently, or needs what neither Guix nor Nix has without
    /// experimental features: floating, deferred or impure outputs, dynamic derivations.
    pub fn parse(store: &StoreDir, name: &str, text: &[u8]) -> Result<Self, ParseError> {
        check_name(name.as_bytes()).map_err(|error| Kind::DerivationName(error).at(0))?;
        let mut cursor = Cursor::new(text);
        if cursor.starts_with("DrvWithVersion(") {
            return Err(Kind::Dynamic.at(0));
        }
        cursor.expect("Derive(")?;
        let outputs_at = cursor.at();
        let outputs = cursor.sorted_list(
            "outputs",
            60,
            |item: &(OutputName, Output)| &item.0,
            |cursor| output(cursor, store),
        )?;
        if outputs.is_empty() {
            return Err(Kind::NoOutputs.at(outputs_at));
        }
        if outputs
            .iter()
            .any(|(name, output)| output.fixed.is_some() && (outputs.len() > 1 || !name.is_out()))
        {
            return Err(Kind::FixedNotAlone.at(outputs_at));
        }
        cursor.expect(",")?;
        let input_derivations = cursor.sorted_list(
            "input derivations",
            60,
            |item: &Input| &item.0,
            |cursor| input(cursor, store),
        )?;
        cursor.expect(",")?;
        let input_sources = cursor.sorted_list(
            "input sources",
            45,
            |path| path,
            |cursor| cursor.path(store),
        )?;
        cursor.expect(",")?;
        let system = cursor.string()?.into_owned();
        cursor.expect(",")?;
        let builder = cursor.string()?.into_owned();
        cursor.expect(",")?;
        let args = cursor.list(|cursor| cursor.string().map(Cow::into_owned))?;
        cursor.expect(",")?;
        let env = cursor.sorted_list(
            "environment variables",
            8,
            |item: &(Vec<u8>, Vec<u8>)| &item.0,
            variable,
        )?;
        cursor.expect(")")?;
        cursor.end()?;
        Ok(Self {
            store: store.clone(),
            name: name.into(),
            outputs: outputs.into_iter().collect(),
            input_derivations: input_derivations.into_iter().collect(),
            input_sources: input_sources.into_iter().collect(),
            system,
            builder,
            args,
            env: env.into_iter().collect(),
        })
    }
}

fn output_name(cursor: &mut Cursor<'_>) -> Result<OutputName, ParseError> {
    let at = cursor.at();
    OutputName::new(cursor.string()?).map_err(|error| Kind::OutputName(error).at(at))
}

fn output(cursor: &mut Cursor<'_>, store: &StoreDir) -> Result<(OutputName, Output), ParseError> {
    cursor.expect("(")?;
    let at = cursor.at();
    let name = output_name(cursor)?;
    cursor.expect(",")?;
    let path_at = cursor.at();
    let path = cursor.string()?;
    cursor.expect(",")?;
    let method_at = cursor.at();
    let method = cursor.string()?;
    cursor.expect(",")?;
    let hash_at = cursor.at();
    let hash = cursor.string()?;
    cursor.expect(")")?;

    if hash.as_ref() == b"impure" {
        return Err(Kind::Impure(name).at(at));
    }
    let fixed = match (method.is_empty(), hash.is_empty()) {
        (true, true) if path.is_empty() => return Err(Kind::Deferred(name).at(at)),
        (true, true) => None,
        (true, false) => return Err(Kind::NoAlgorithm(name).at(at)),
        (false, true) => return Err(Kind::Floating(name).at(at)),
        (false, false) => Some(fixed_output(&method, method_at, &hash, hash_at)?),
    };
    let path =
        StorePath::parse(store, &path).map_err(|error| Kind::StorePath(error).at(path_at))?;
    Ok((name, Output { path, fixed }))
}

fn fixed_output(
    method: &[u8],
    method_at: usize,
    hash: &[u8],
    hash_at: usize,
) -> Result<FixedOutput, ParseError> {
    let (recursive, algo) = method
        .strip_prefix(b"r:")
        .map_or((false, method), |algo| (true, algo));
    let algo = HashAlgo::from_name(algo)
        .ok_or_else(|| Kind::Algorithm(printable(method)).at(method_at))?;
    let wrong = |error| Kind::Hash(error).at(hash_at);
    let text = std::str::from_utf8(hash).map_err(|_| Kind::HashNotation(algo).at(hash_at))?;
    let hash = Hash::parse(algo, text).map_err(wrong)?;
    if text.len() != 2 * algo.size() {
        return Err(Kind::HashNotation(algo).at(hash_at));
    }
    Ok(FixedOutput { recursive, hash })
}

fn input(cursor: &mut Cursor<'_>, store: &StoreDir) -> Result<Input, ParseError> {
    cursor.expect("(")?;
    let at = cursor.at();
    let path = cursor.path(store)?;
    if !path.is_derivation() {
        return Err(Kind::NoDerivation.at(at));
    }
    cursor.expect(",")?;
    if cursor.starts_with("(") {
        return Err(Kind::Dynamic.at(cursor.at()));
    }
    // By far the commonest list, without a vector on the way.
    let outputs = if cursor.starts_with("[\"out\"]") {
        cursor.expect("[\"out\"]")?;
        BTreeSet::from([OutputName::out()])
    } else {
        let at = cursor.at();
        let outputs = cursor.sorted_list(
            "outputs of an input derivation",
            4,
            |name| name,
            output_name,
        )?;
        if outputs.is_empty() {
            return Err(Kind::NoInputOutputs.at(at));
        }
        outputs.into_iter().collect()
    };
    cursor.expect(")")?;
    Ok((path, outputs))
}

fn variable(cursor: &mut Cursor<'_>) -> Result<(Vec<u8>, Vec<u8>), ParseError> {
    cursor.expect("(")?;
    let name = cursor.string()?.into_owned();
    cursor.expect(",")?;
    let value = cursor.string()?.into_owned();
    cursor.expect(")")?;
    Ok((name, value))
}
