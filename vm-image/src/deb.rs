//! Debian packages: `deb(5)`.

mod ar;
mod control;
mod merge;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tar::Archive;

use crate::compression::Compression;
use crate::error::{ImageError, at};

pub(crate) use control::Control;
pub(crate) use merge::Merge;

/// What is in the archive of the files of a package.
type Data = Archive<Box<dyn Read>>;

/// Opens a package: what it says of itself, and its files.
pub(crate) fn open(path: &Path) -> Result<(Control, Data), ImageError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bad = |what: String| ImageError::BadPackage {
        package: name.clone().into_owned(),
        what,
    };
    let mut file = File::open(path).map_err(at("read", path))?;
    let wrong = |error: io::Error| bad(error.to_string());
    let members = ar::members(&mut BufReader::new(&mut file)).map_err(wrong)?;
    if members.first().is_none_or(|it| it.name != "debian-binary") {
        return Err(bad("it is no Debian package".to_owned()));
    }
    let member = |begin: &str| {
        let found = members.iter().find(|it| it.name.starts_with(begin));
        let found = found.ok_or_else(|| bad(format!("it has no {begin}")))?;
        let compression = Compression::of_name(&found.name)
            .ok_or_else(|| bad(format!("{} is compressed in an unknown way", found.name)))?;
        let mut file = File::open(path).map_err(at("read", path))?;
        file.seek(SeekFrom::Start(found.offset))
            .map_err(at("read", path))?;
        compression.open(file.take(found.size)).map_err(wrong)
    };
    let control = control::read(member("control.tar")?).map_err(wrong)?;
    Ok((control, Archive::new(member("data.tar")?)))
}
