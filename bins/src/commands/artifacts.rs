//! `grange artifacts`.

use grange_interfaces::message::{Held, HeldView, PruneRequest, PruneView, SweepView};

use crate::cli::{ArtifactsCommand, ArtifactsPrune, Global, tags};
use crate::connect::connect;
use crate::durations::milliseconds;
use crate::failure::{self, Exit};
use crate::output::{Output, note, show_time, table};
use crate::sizes::show_size;

pub(super) async fn run(
    global: &Global,
    command: ArtifactsCommand,
    output: Output,
) -> anyhow::Result<Exit> {
    match command {
        ArtifactsCommand::Show => {
            let (client, _) = connect(global).await?;
            output.value(&client.held().await?, held)?;
        }
        ArtifactsCommand::Sweep { delete } => {
            let (client, _) = connect(global).await?;
            output.value(&client.sweep(delete).await?, swept)?;
        }
        ArtifactsCommand::Prune(args) => {
            let request = request(args)?;
            let delete = request.delete;
            let (client, _) = connect(global).await?;
            let pruned = client.prune(request).await?;
            if !output.is_json() && !pruned.items.is_empty() {
                output.line(&list(&pruned))?;
            }
            output.value(&pruned, summary)?;
            if delete {
                // The outputs are gone, whatever becomes of this.
                match client.sweep(true).await {
                    Ok(swept) => note(&format!(
                        "{} of disk are free again",
                        show_size(swept.unreferenced.bytes)
                    )),
                    Err(error) => note(&format!("their bytes go with the next sweep: {error}")),
                }
            }
        }
    }
    Ok(Exit::Done)
}

fn request(args: ArtifactsPrune) -> anyhow::Result<PruneRequest> {
    let request = PruneRequest {
        older_than_ms: args.older_than.map(milliseconds),
        tags: tags(&args.tags),
        keep_tags: args
            .keep_tags
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect(),
        roots: args.roots.iter().map(ToString::to_string).collect(),
        max_bytes: args.max_size,
        delete: args.delete,
    };
    let nothing = PruneRequest {
        delete: request.delete,
        ..PruneRequest::default()
    };
    if request == nothing {
        return Err(failure::usage(
            "what shall go? Give --older-than, --tag, --keep-tag, --root or --max-size",
        ));
    }
    Ok(request)
}

fn held(view: &HeldView) -> String {
    let row = |name: &str, held: Held| {
        vec![
            name.to_owned(),
            held.count.to_string(),
            show_size(held.bytes),
        ]
    };
    table(
        &["WHAT", "COUNT", "SIZE"],
        &[
            row("outputs", view.outputs),
            row("sources", view.sources),
            row("logs", view.logs),
            row("unreferenced", view.unreferenced),
        ],
    )
}

fn swept(view: &SweepView) -> String {
    let Held { count, bytes } = view.unreferenced;
    let (size, blobs) = (show_size(bytes), view.blobs);
    if view.deleted {
        format!("deleted {count} of {blobs} blobs, {size}")
    } else {
        format!("{count} of {blobs} blobs are not needed, {size}; --delete deletes them")
    }
}

fn list(view: &PruneView) -> String {
    let rows = view.items.iter().map(|item| {
        vec![
            show_size(item.bytes),
            item.used_at_ms
                .map_or_else(|| "never".to_owned(), show_time),
            item.path.clone(),
        ]
    });
    table(&["SIZE", "USED", "OUTPUT"], &rows.collect::<Vec<_>>())
}

fn summary(view: &PruneView) -> String {
    let (goes, stays) = (view.goes, view.stays);
    let (size, left) = (show_size(goes.bytes), show_size(stays.bytes));
    let (count, rest) = (goes.count, stays.count);
    let named = view.items.len() as u64;
    let more = match count.saturating_sub(named) {
        0 => String::new(),
        more => format!("… and {more} more\n"),
    };
    if view.deleted {
        format!("{more}deleted {count} outputs, {size}; {rest} items stay, {left}")
    } else {
        format!(
            "{more}{count} outputs would go, {size}; {rest} items would stay, {left}; --delete deletes them"
        )
    }
}
