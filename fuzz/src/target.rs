//! All targets.

use crate::{
    core, daemon, formats, guests, http, machines, peers, recordings, requests, settings, signed,
};

/// Something that takes any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// The longest input that makes sense, in bytes.
    pub max_len: usize,
    /// Panics if what must hold does not.
    pub run: fn(&[u8]),
}

const fn of(name: &'static str, max_len: usize, run: fn(&[u8])) -> Target {
    Target { name, max_len, run }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    of("answers", 2_048, peers::answers),
    of("base32", 64, formats::base32),
    of("cache-info", 512, settings::cache_info),
    of("calls", 4_096, http::calls),
    of("config", 4_096, settings::config),
    of("core", 1_024, core::operations),
    of("daemon", 2_048, peers::daemon),
    of("daemon-guix", 4_096, daemon::guix),
    of("daemon-nix", 4_096, daemon::nix),
    of("decompress", 4_096, formats::decompress),
    of("derivation", 8_192, formats::derivation),
    of("disk", 4_096, machines::disk),
    of("export", 4_096, signed::export),
    of("frames", 1_024, formats::frames),
    of("graph", 2_048, formats::graph),
    of("guest-frames", 4_096, guests::frames),
    of("keys", 1_024, signed::keys),
    of("machine", 2_048, machines::machine),
    of("message", 4_096, formats::message),
    of("nar", 4_096, formats::nar),
    of("narinfo-guix", 4_096, signed::narinfo_guix),
    of("narinfo-nix", 4_096, signed::narinfo_nix),
    of("pages", 2_048, http::pages),
    of("qmp", 4_096, guests::qmp),
    of("recipe", 2_048, machines::recipe),
    of("record", 4_096, formats::record),
    of("recording", 4_096, recordings::recording),
    of("requests", 4_096, requests::requests),
    of("scheme", 1_024, settings::scheme),
    of("secrets", 4_096, guests::secrets),
    of("sexp", 2_048, signed::sexp),
    of("store-path", 256, formats::store_path),
    of("substitute-server", 2_048, peers::substitute_server),
    of("traps", 4_096, machines::traps),
    of("unpack", 2_048, formats::unpack),
    of("values", 256, settings::values),
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
