//! Which store a server serves.

use grange_derivation::StoreDir;

/// The store that a `nix-cache-info` names: lines of `NAME: VALUE`, one of them `StoreDir`.
///
/// # Errors
/// In words: it is not UTF-8, or does not name one store.
pub fn store_of_cache_info(text: &[u8]) -> Result<StoreDir, String> {
    let text = std::str::from_utf8(text).map_err(|_| "its nix-cache-info is not UTF-8")?;
    let mut found = text
        .lines()
        .filter_map(|line| line.strip_prefix("StoreDir:"));
    match (found.next(), found.next()) {
        (Some(directory), None) => StoreDir::new(directory.trim())
            .map_err(|error| format!("the StoreDir in its nix-cache-info is none: {error}")),
        (None, _) => Err("its nix-cache-info names no StoreDir".to_owned()),
        (Some(_), Some(_)) => Err("its nix-cache-info names two StoreDirs".to_owned()),
    }
}
