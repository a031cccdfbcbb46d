//! From a recipe to an image.

mod parts;
mod wanted;

use crate::error::ImageError;
use crate::event::Event;
use crate::image::Image;
use crate::initrd;
use crate::manifest::{Contents, FORMAT, Manifest};
use crate::recipe::Recipe;
use crate::squashfs;
use crate::store::{Draft, ImageStore, find_key, lock, try_lock};

/// How an image is made. Everything has a default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BuildOptions {
    /// Which lists of packages to use. Default: [`Lists::Auto`].
    pub lists: Lists,
}

impl BuildOptions {
    /// With these lists.
    #[must_use]
    pub fn with_lists(lists: Lists) -> Self {
        Self { lists }
    }
}

/// Which lists of packages to use. The package sources and keys are the machine's in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lists {
    /// The machine's; if it has none, or they name packages that are not to be had any more, those of the store,
    /// fetched anew.
    #[default]
    Auto,
    /// The machine's, whatever is in them. Nothing but packages is fetched.
    Machine,
    /// Those of the store, fetched anew.
    Update,
}

pub(crate) fn build(
    store: &ImageStore,
    recipe: &Recipe,
    options: &BuildOptions,
    event: &mut dyn FnMut(Event),
) -> Result<Image, ImageError> {
    recipe.check()?;
    let guest = recipe.guest.as_deref().ok_or(ImageError::NoGuest)?;
    let guest = initrd::guest(guest, recipe.architecture)?;
    // Before minutes are spent on what cannot be finished.
    squashfs::version()?;
    let _lock = match try_lock(store, "build")? {
        Some(lock) => lock,
        None => {
            event(Event::Waiting);
            lock(store, "build")?
        }
    };
    let draft = Draft::new(store)?;
    let wanted = wanted::find(store, draft.scratch(), recipe, options.lists, event)?;
    let key = wanted::key(recipe, &guest, &wanted)?;
    if let Some(image) = find_key(store, &key)? {
        store.set_name(&recipe.name, image.id())?;
        event(Event::Done {
            id: image.id(),
            reused: true,
        });
        return Ok(image);
    }
    let wanted = wanted::fetch(store, draft.scratch(), recipe, wanted, options.lists, event)?;
    // The packages may have become others when the lists were fetched anew.
    let key = wanted::key(recipe, &guest, &wanted)?;
    let kernel = parts::make(store, &draft, recipe, &guest, &wanted, event)?;
    let manifest = Manifest {
        format: FORMAT,
        contents: Contents::Root,
        architecture: recipe.architecture,
        kernel: Some(kernel),
        arguments: String::new(),
        packages: wanted.packages(),
        files: Vec::new(),
    };
    let image = draft.publish(store, manifest, &recipe.name, Some(&key))?;
    event(Event::Done {
        id: image.id(),
        reused: false,
    });
    Ok(image)
}
