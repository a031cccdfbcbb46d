//! Images.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use grange_vm::home::Home;
use grange_vm_image::{BuildOptions, Event, Image, ImageStore, ImportOptions, Lists, Recipe};
use serde::Serialize;

use super::options::{image_store, program};
use crate::cli::{ImageBuild, ImageCommand, ImageImport};
use crate::failure::{self, Exit};
use crate::output::{Output, note, table};
use crate::sizes::show_size;

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    id: String,
    names: Vec<String>,
    /// Bytes.
    size: u64,
    /// Seconds since 1970.
    made: u64,
    kernel: Option<String>,
    packages: usize,
}

pub(super) async fn run(
    home: &Home,
    directory: &Path,
    command: ImageCommand,
    output: Output,
) -> anyhow::Result<Exit> {
    let store = image_store(directory)?;
    match command {
        ImageCommand::Build(args) => {
            let image = tokio::task::spawn_blocking(move || build(&store, &args)).await??;
            output.value(&shown(&image, Vec::new()), |shown| shown.id.clone())?;
        }
        ImageCommand::Import(args) => {
            let image = tokio::task::spawn_blocking(move || import(&store, args)).await??;
            output.value(&shown(&image, Vec::new()), |shown| shown.id.clone())?;
        }
        ImageCommand::List => list(&store, output)?,
        ImageCommand::Prune { older_than } => prune(home, &store, older_than, output)?,
    }
    Ok(Exit::Done)
}

fn build(store: &ImageStore, args: &ImageBuild) -> anyhow::Result<Image> {
    let name = args.name.parse()?;
    let mut recipe = match &args.recipe {
        Some(file) => Recipe::read(file)?,
        None => Recipe::debian(name),
    };
    recipe.packages.extend(args.packages.iter().cloned());
    if let Some(kernel) = &args.kernel {
        recipe.kernel.clone_from(kernel);
    }
    if recipe.guest.is_none() || args.guest_program.is_some() {
        recipe.guest = Some(program("grange-guest", args.guest_program.as_deref())?);
    }
    let mut options = BuildOptions::default();
    if args.update {
        options.lists = Lists::Update;
    }
    let mut last = None;
    let image = store.build(&recipe, &options, &mut |event| {
        // A line for each step, not for each package.
        let step = std::mem::discriminant(&event);
        let text = match event {
            Event::Waiting => "another image is being made".to_owned(),
            Event::UpdatingLists => "fetching lists of packages".to_owned(),
            Event::Resolved { packages, bytes } => {
                format!("{packages} packages, {} to be fetched", show_size(bytes))
            }
            Event::Fetching { .. } => "fetching packages".to_owned(),
            Event::Unpacking { of, .. } => format!("unpacking {of} packages"),
            Event::Writing { file } => format!("writing {file}"),
            Event::Warning(warning) => warning,
            Event::Done { reused: true, .. } => "it had been made before".to_owned(),
            _ => return,
        };
        if last.replace((step, text.clone())) != Some((step, text.clone())) {
            note(&text);
        }
    })?;
    Ok(image)
}

fn import(store: &ImageStore, args: ImageImport) -> anyhow::Result<Image> {
    let mut options = ImportOptions::new(args.name.parse()?);
    options.kernel = args.kernel;
    options.initrd = args.initrd;
    options.arguments = args.arguments;
    Ok(store.import(&args.file, &options)?)
}

fn shown(image: &Image, names: Vec<String>) -> Shown {
    let made = image.made().duration_since(UNIX_EPOCH).unwrap_or_default();
    let manifest = image.manifest();
    Shown {
        id: image.id().to_string(),
        names,
        size: image.size(),
        made: made.as_secs(),
        kernel: manifest
            .kernel
            .as_ref()
            .map(|kernel| kernel.release.clone()),
        packages: manifest.packages.len(),
    }
}

fn list(store: &ImageStore, output: Output) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (image, names) in store.list()? {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let shown = shown(&image, names);
        if output.is_json() {
            output.value(&shown, |_| String::new())?;
        } else {
            rows.push(vec![
                shown.names.join(" "),
                shown.id[..12].to_owned(),
                show_size(shown.size),
                shown.kernel.unwrap_or_default(),
                shown.packages.to_string(),
            ]);
        }
    }
    if !rows.is_empty() {
        output.line(&table(
            &["NAMES", "ID", "SIZE", "KERNEL", "PACKAGES"],
            &rows,
        ))?;
    }
    for damage in store.damaged()? {
        note(&format!("damaged: {damage:?}"));
    }
    Ok(())
}

fn prune(
    home: &Home,
    store: &ImageStore,
    older_than: Duration,
    output: Output,
) -> anyhow::Result<()> {
    let mut keep = HashSet::new();
    for name in home.names()? {
        let machine = home.machine(&name).with_context(|| {
            format!("nothing is removed: it is not known what the machine {name} boots")
        })?;
        // What a machine boots need not be there yet.
        keep.extend(
            store
                .resolve(&machine.machine.image)
                .map(|image| image.id()),
        );
    }
    let pruned = store
        .prune(&keep, older_than)
        .map_err(|error| failure::config(error.to_string()))?;
    let told = serde_json::json!({
        "images": pruned.images.len(), "files": pruned.files, "bytes": pruned.bytes,
    });
    output.value(&told, |_| {
        format!(
            "{} images and {} other files removed, {}",
            pruned.images.len(),
            pruned.files,
            show_size(pruned.bytes)
        )
    })
}
