//! How much memory an input may cost.

/// Bytes of memory that no input may make a target take, all in all: libFuzzer is told so. Decoders of xz, lzip and
/// Zstandard may ask for 136 MiB.
pub const MAX_MEMORY: u64 = 1 << 30;
