//! Printing.

use super::model::{Covering, Signatures};
use super::{Facts, Narinfo, Source};
use data_encoding::BASE64;
use grange_derivation::{Dialect, Hash, StorePath};
use std::fmt::Write as _;

impl Narinfo {
    /// The text, as `guix publish` or Nix's binary cache store would write it; a narinfo of Guix that was read keeps the
    /// bytes that its signature covers.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        match &self.signatures {
            Signatures::Guix(covering) => {
                let printed = match covering {
                    Some(covering) => {
                        push_covering(&mut out, covering);
                        covering.sources
                    }
                    None => {
                        push_facts(&mut out, Dialect::Guix, &self.facts);
                        0
                    }
                };
                for source in &self.sources[printed..] {
                    push_source(&mut out, source);
                }
            }
            Signatures::Nix(signatures) => {
                push(&mut out, "StorePath", &self.facts.path.to_string());
                for source in &self.sources {
                    push_source(&mut out, source);
                }
                push_facts(&mut out, Dialect::Nix, &self.facts);
                for signature in signatures {
                    push(&mut out, "Sig", &signature.to_string());
                }
                if let Some(content_address) = &self.facts.content_address {
                    push(&mut out, "CA", content_address);
                }
            }
        }
        out
    }
}

fn push_covering(out: &mut String, covering: &Covering) {
    out.push_str(&covering.text);
    // Guix takes the S-expression's bytes for Latin-1 and encodes the text in UTF-8.
    let text: String = covering.signature.iter().copied().map(char::from).collect();
    let encoded = BASE64.encode(text.as_bytes());
    push(out, "Signature", &format!("1;{};{encoded}", covering.host));
}

/// The part in common, but for the path in Nix, whose place is before the sources.
pub(super) fn push_facts(out: &mut String, dialect: Dialect, facts: &Facts) {
    if dialect == Dialect::Guix {
        push(out, "StorePath", &facts.path.to_string());
    }
    let hash = Hash::from_sha256(facts.nar_sha256).to_base32();
    push(out, "NarHash", &format!("sha256:{hash}"));
    push(out, "NarSize", &facts.nar_size.to_string());
    let references: Vec<_> = facts.references.iter().map(StorePath::base_name).collect();
    push(out, "References", &references.join(" "));
    if let (Dialect::Guix, Some(system)) = (dialect, &facts.system) {
        push(out, "System", system);
    }
    if let Some(deriver) = &facts.deriver {
        push(out, "Deriver", &deriver.base_name());
    }
}

fn push_source(out: &mut String, source: &Source) {
    push(out, "URL", source.url.as_str());
    push(out, "Compression", source.compression.name());
    if let Some(hash) = &source.file_hash {
        push(
            out,
            "FileHash",
            &format!("{}:{}", hash.algo(), hash.to_base32()),
        );
    }
    if let Some(size) = source.file_size {
        push(out, "FileSize", &size.to_string());
    }
}

fn push(out: &mut String, key: &str, value: &str) {
    writeln!(out, "{key}: {value}").expect("strings take what is written to them");
}
