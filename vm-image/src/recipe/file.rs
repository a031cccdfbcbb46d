//! A recipe as TOML.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ExtraFile, Recipe, RecipeError, refused};
use crate::architecture::Architecture;

/// What is wrong with a file that should be a recipe, and where.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TomlError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RecipeFile {
    name: String,
    architecture: Option<String>,
    kernel: Option<String>,
    packages: Option<Vec<String>>,
    #[serde(default)]
    more_packages: Vec<String>,
    modules: Option<Vec<String>>,
    #[serde(default)]
    more_modules: Vec<String>,
    leave_out: Option<Vec<String>>,
    clamp: Option<String>,
    #[serde(default)]
    files: Vec<FileEntry>,
    guest: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileEntry {
    path: String,
    source: PathBuf,
    /// Octal, as `chmod` takes it.
    mode: Option<String>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

/// The recipe in `text`, not yet checked.
pub(super) fn parse(text: &str) -> Result<Recipe, RecipeError> {
    let file: RecipeFile =
        toml::from_str(text).map_err(|error| TomlError(error.to_string().trim_end().to_owned()))?;
    let name = file
        .name
        .parse()
        .map_err(|_| refused("name", &file.name, "it takes a-z, 0-9, '.', '_' and '-'"))?;
    let mut recipe = Recipe::debian(name);
    if let Some(name) = file.architecture {
        recipe.architecture = Architecture::from_name(&name)
            .ok_or_else(|| refused("architecture", &name, "only amd64 is known"))?;
    }
    if let Some(kernel) = file.kernel {
        recipe.kernel = kernel;
    }
    if let Some(packages) = file.packages {
        recipe.packages = packages;
    }
    recipe.packages.extend(file.more_packages);
    if let Some(modules) = file.modules {
        recipe.modules = modules;
    }
    recipe.modules.extend(file.more_modules);
    if let Some(paths) = file.leave_out {
        recipe.leave_out = paths;
    }
    if let Some(date) = file.clamp {
        recipe.clamp = day(&date)
            .ok_or_else(|| refused("clamp", &date, "a date is YYYY-MM-DD, not before 1970"))?;
    }
    recipe.files = file
        .files
        .into_iter()
        .map(extra)
        .collect::<Result<_, _>>()?;
    recipe.guest = file.guest;
    Ok(recipe)
}

fn extra(entry: FileEntry) -> Result<ExtraFile, RecipeError> {
    let mode = match entry.mode {
        None => 0o644,
        Some(text) => u32::from_str_radix(&text, 8)
            .map_err(|_| refused("files.mode", &text, "it is octal, such as \"755\""))?,
    };
    Ok(ExtraFile {
        path: entry.path,
        source: entry.source,
        mode,
        uid: entry.uid,
        gid: entry.gid,
    })
}

/// The first second of a day, since 1970.
fn day(text: &str) -> Option<u64> {
    let mut parts = text.split('-').map(|part| {
        let digits = part.bytes().all(|it| it.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok()).flatten()
    });
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + u64::from(leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    if parts.next().is_some() || !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let before = usize::try_from(month).ok()? - 1;
    if !(1..=lengths[before]).contains(&day) {
        return None;
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
        + lengths[..before].iter().sum::<u64>()
        + day
        - 1;
    Some(days * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(day("1970-01-01"), Some(0));
        assert_eq!(day("2006-01-01"), Some(1_136_073_600));
        assert_eq!(day("2000-02-29"), Some(951_782_400));
        assert_eq!(day("2100-03-01"), Some(4_107_542_400));
        for none in [
            "1969-12-31",
            "2001-02-29",
            "2001-13-01",
            "2001-1",
            "+2001-01-01",
            "x",
            "2001-01-01-01",
        ] {
            assert_eq!(day(none), None, "{none}");
        }
    }

    #[test]
    fn errors_tell_what_and_where() {
        let told = |text: &str| match Recipe::from_toml(text) {
            Ok(recipe) => panic!("{recipe:?}"),
            Err(RecipeError::Toml(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(told("name = 'x'\npakages = []").contains("pakages"));
        assert!(told("kernel = 'x'").contains("name"));
        assert!(told("name = 'x'\nclamp = '1960-01-01'").contains("1960"));
        assert!(told("name = 'x'\narchitecture = 'sparc'").contains("sparc"));
        assert!(told("name = 'x'\n[[files]]\npath='/a'\nsource='b'\nmode='9'").contains("octal"));
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let recipe = Recipe::from_toml("name = 'x'\nmore-modules = ['9p']").unwrap();
        let mut expected = Recipe::debian("x".parse().unwrap());
        expected.modules.push("9p".to_owned());
        assert_eq!(recipe, expected);
    }
}
