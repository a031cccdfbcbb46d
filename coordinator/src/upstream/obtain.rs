//! Derivations and sources that a client does not have.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use grange_derivation::{StorePath, nar};
use grange_interfaces::{Fault, ItemInfo, Refusal, bytes_of};

use super::closure::{Derivations, closure, store};
use super::patience::Patience;
use super::servers::Servers;
use crate::handle::Handle;
use crate::ingest::{Verifier, store_records};
use crate::shared::Shared;

/// How many texts are fetched at once.
const AT_ONCE: usize = 16;
/// How many derivations are committed together.
const GROUP: usize = 200;
/// What a nar has around the contents of a file, and some more.
const AROUND: usize = 1_024;

/// Takes from upstream what of this it has, with all that it refers to: texts of derivations, which are verified as if
/// a client had sent them, and the knowledge that items are there.
///
/// # Errors
///
/// The Datastore or a server fails, or gives what is not what it should be. What was taken by then is kept: whoever
/// asks again goes on from there.
pub(crate) async fn obtain(
    shared: &Shared,
    handle: &Handle,
    paths: Vec<StorePath>,
) -> Result<(), Refusal> {
    let servers = shared.upstreams.derivations();
    if servers.is_empty() {
        return Ok(());
    }
    let patience = Patience::new(shared);
    let nodes = Derivations::AreNodes;
    let asked = nodes.absent(shared, paths).await?;
    let roots = servers.find(&asked).await.into_iter().flatten().collect();
    let infos = closure(shared, servers, nodes, roots, &patience).await?;
    let (derivations, items): (Vec<_>, Vec<_>) = infos
        .into_iter()
        .partition(|info| info.path.is_derivation());
    store(handle, &items).await?;
    let texts = stream::iter(derivations).map(|info| text(shared, servers, info));
    let mut texts = texts.buffered(AT_ONCE);
    let mut verifier = Verifier::default();
    let mut records = Vec::new();
    // On their sources, until they are durable.
    let mut relied = Vec::new();
    let mut failure = None;
    loop {
        let (path, text) = match texts.try_next().await {
            Ok(Some(text)) => text,
            Ok(None) => break,
            Err(refusal) => {
                failure = Some(refusal);
                break;
            }
        };
        let verified = verifier.verify(shared, &[(path, text)]).await;
        let refused = |refusal: Refusal| {
            let message = format!("what a substitute server gives: {}", refusal.message);
            Refusal {
                fault: Fault::Peer,
                message,
                ..refusal
            }
        };
        let (both, reliance) = match verified {
            Ok(verified) => verified,
            Err(refusal) => {
                failure = Some(refused(refusal));
                break;
            }
        };
        relied.push(reliance);
        records.extend(both);
        if records.len() >= 2 * GROUP {
            store_records(handle, std::mem::take(&mut records)).await?;
            relied.clear();
        }
        if patience.is_over() {
            break;
        }
    }
    store_records(handle, records).await?;
    drop(relied);
    if let Some(refusal) = failure {
        return Err(refusal);
    }
    if patience.is_over() {
        return Err(Refusal::busy(
            "substitute servers are still being asked",
            Duration::from_millis(100),
        ));
    }
    Ok(())
}

/// The text of a derivation.
async fn text(
    shared: &Shared,
    servers: Servers<'_>,
    info: ItemInfo,
) -> Result<(StorePath, Bytes), Refusal> {
    let lie = |what: &str| Refusal::new(Fault::Peer, format!("{} upstream: {what}", info.path));
    let most = shared.config.max_derivation + AROUND;
    if info.nar_size > most as u64 {
        return Err(lie("it is larger than any derivation that is taken"));
    }
    let body = servers.nar(&info).await?;
    let archive = bytes_of(body.ok_or_else(|| lie("it is gone"))?, most).await;
    let archive = archive.map_err(|error| lie(&error.to_string()))?;
    let entries = nar::list(&mut &archive[..]).map_err(|error| lie(&error.to_string()))?;
    let contents = match &entries[..] {
        [
            nar::Entry {
                kind: nar::Kind::Regular { size, offset, .. },
                ..
            },
        ] => {
            let place = |at: u64| usize::try_from(at).ok();
            place(*offset).zip(place(offset + size))
        }
        _ => None,
    };
    let (begin, end) = contents.ok_or_else(|| lie("it is not one file"))?;
    Ok((info.path, archive.slice(begin..end)))
}
