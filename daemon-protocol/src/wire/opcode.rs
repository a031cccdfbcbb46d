//! What a client can ask for.

/// An operation. Numbers are those of both daemons unless a variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
#[non_exhaustive]
pub enum Opcode {
    /// What refers to an item: path → paths.
    QueryReferrers = 6,
    /// Adds a source, as Guix and Nix before 1.25 have it: name, 1, recursive?, algorithm, the nar itself → path.
    AddToStore = 7,
    /// Adds a text: name, bytes, references → path.
    AddTextToStore = 8,
    /// Builds: derivations, mode → 1.
    BuildThings = 9,
    /// Keeps an item while the connection is open: path → 1.
    AddTempRoot = 11,
    /// An item's nar with its path, references and deriver; Guix: path, sign? → data, 1.
    ExportPath = 16,
    /// How to build.
    SetOptions = 19,
    /// Deletes.
    CollectGarbage = 20,
    /// What is known of a valid item.
    QueryPathInfo = 26,
    /// Takes a signed export in; Guix: → paths.
    ImportPaths = 27,
    /// Which of these are valid: paths → paths.
    QueryValidPaths = 31,
    /// Builds one derivation whose inputs are named, not derived; Nix.
    BuildDerivation = 36,
    /// An item's nar, unframed behind the last message; Nix.
    NarFromPath = 38,
    /// Takes a nar in; Nix.
    AddToStoreNar = 39,
}
