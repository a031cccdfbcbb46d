//! What machines are started with.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grange_vm::home::ServeOptions;
use grange_vm::qemu::Accelerator;
use grange_vm_image::ImageStore;

use crate::cli::{AcceleratorArg, VmStarting};
use crate::failure;

/// What the command line says, with images from `directory`.
pub(super) fn serve_options(directory: &Path, args: &VmStarting) -> anyhow::Result<ServeOptions> {
    let images = Arc::new(image_store(directory)?);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut search: Vec<PathBuf> = env::split_paths(&path).collect();
    // Where distributions have it that do not tell their users.
    search.push("/usr/bin".into());
    let mut options = ServeOptions::new(images, search);
    options.accelerator = args.accelerator.map(|accelerator| match accelerator {
        AcceleratorArg::Kvm => Accelerator::Kvm,
        AcceleratorArg::Tcg => Accelerator::Tcg,
    });
    options.network = args.network;
    options.limit = args.limit;
    Ok(options)
}

pub(super) fn image_store(directory: &Path) -> anyhow::Result<ImageStore> {
    Ok(ImageStore::open(directory.join("images"))?)
}

/// A program of ours for guests: the one that is named, else the one that lies beside this program.
pub(super) fn program(name: &str, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let this = env::current_exe()?;
    let beside = this.with_file_name(name);
    // As `cargo xtask guest` puts it there; the plain name may be one that is not static, for tests.
    for beside in [
        this.with_file_name(format!("{name}-static")),
        beside.clone(),
    ] {
        if beside.is_file() {
            return Ok(beside);
        }
    }
    Err(failure::config(format!(
        "the program {name} for guests does not lie beside this one ({}); `cargo xtask guest` builds it, and it can be named",
        beside.display()
    )))
}
