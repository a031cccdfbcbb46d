//! `grange fetch`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grange_interfaces::message::ItemView;
use serde_json::json;

use crate::cli::{FetchArgs, Global};
use crate::connect::connect;
use crate::failure::Exit;
use crate::output::Output;

pub(super) async fn run(global: &Global, args: FetchArgs, output: Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(global).await?;
    if args.closure {
        let directory = args.to.unwrap_or_else(|| PathBuf::from("."));
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        for (item, place) in client.fetch_closure(&args.path, &directory).await? {
            tell(output, &item, &place)?;
        }
    } else {
        let place = args
            .to
            .unwrap_or_else(|| PathBuf::from(args.path.base_name()));
        let item = client.fetch(&args.path, &place).await?;
        tell(output, &item, &place)?;
    }
    Ok(Exit::Done)
}

fn tell(output: Output, item: &ItemView, place: &Path) -> anyhow::Result<()> {
    let value = json!({ "item": item, "place": place.to_string_lossy() });
    output.value(&value, |_| place.display().to_string())
}
