//! From a recipe to an image.

use crate::error::ImageError;
use crate::event::Event;
use crate::image::Image;
use crate::recipe::Recipe;
use crate::store::{ImageStore, lock};

/// How an image is made. Everything has a default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BuildOptions {
    /// Which lists of packages to use. Default: [`Lists::Auto`].
    pub lists: Lists,
}

/// Which lists of packages to use. The package sources and keys are the machine's in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lists {
    /// The machine's; if it has none, or names packages that are not to be had any more, those of the store, fetched anew.
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
    _options: &BuildOptions,
    _event: &mut dyn FnMut(Event),
) -> Result<Image, ImageError> {
    recipe.check()?;
    let _lock = lock(store, "build")?;
    if recipe.guest.is_none() {
        return Err(ImageError::NoGuest);
    }
    Err(ImageError::Program {
        program: "build".to_owned(),
        said: "not there yet".to_owned(),
    })
}
