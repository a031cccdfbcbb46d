//! The printer: byte for byte what Guix and Nix write.

use super::scan::find_special;
use super::{Derivation, FixedOutput, OutputName};
use std::collections::BTreeSet;

impl Derivation {
    /// The text of the `.drv`.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let inputs = self.input_derivations.iter();
        self.print_with(
            inputs.map(|(path, outputs)| (|out: &mut Vec<u8>| path.push_to(out), outputs)),
            false,
        )
    }

    /// Prints with other texts in the place of input derivations' paths, in the order given, and, if `masked`, with
    /// nothing in the place of output paths.
    pub(super) fn print_with<'a>(
        &self,
        inputs: impl Iterator<Item = (impl FnOnce(&mut Vec<u8>), &'a BTreeSet<OutputName>)>,
        masked: bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_hint());
        out.extend_from_slice(b"Derive(");
        list(&mut out, &self.outputs, |out, (name, output)| {
            out.extend_from_slice(b"(\"");
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b"\",\"");
            if !masked {
                output.path.push_to(out);
            }
            out.extend_from_slice(b"\",\"");
            let (method, hash) = output
                .fixed
                .as_ref()
                .map(|fixed| (fixed.method(), fixed.hash.to_base16()))
                .unwrap_or_default();
            out.extend_from_slice(method.as_bytes());
            out.extend_from_slice(b"\",\"");
            out.extend_from_slice(hash.as_bytes());
            out.extend_from_slice(b"\")");
        });
        out.push(b',');
        list(&mut out, inputs, |out, (push_path, outputs)| {
            out.extend_from_slice(b"(\"");
            push_path(out);
            out.extend_from_slice(b"\",");
            list(out, outputs, |out, name| {
                quoted(out, name.as_str().as_bytes())
            });
            out.push(b')');
        });
        out.push(b',');
        list(&mut out, &self.input_sources, |out, path| {
            out.push(b'"');
            path.push_to(out);
            out.push(b'"');
        });
        out.push(b',');
        quoted(&mut out, &self.system);
        out.push(b',');
        quoted(&mut out, &self.builder);
        out.push(b',');
        list(&mut out, &self.args, |out, arg| quoted(out, arg));
        out.push(b',');
        list(&mut out, &self.env, |out, (name, value)| {
            let hidden = masked
                && std::str::from_utf8(name).is_ok_and(|name| self.outputs.contains_key(name));
            out.push(b'(');
            quoted(out, name);
            out.push(b',');
            quoted(out, if hidden { b"" } else { value });
            out.push(b')');
        });
        out.push(b')');
        out
    }

    /// Not less than most texts have.
    fn size_hint(&self) -> usize {
        let bytes = |strings: &mut dyn Iterator<Item = &Vec<u8>>| {
            strings.map(|string| string.len() + 8).sum::<usize>()
        };
        256 + 128 * (self.outputs.len() + self.input_derivations.len() + self.input_sources.len())
            + bytes(&mut self.args.iter())
            + bytes(&mut self.env.iter().flat_map(|(name, value)| [name, value]))
    }
}

impl FixedOutput {
    /// The text whose hash stands for a fixed-output derivation in its users' hashes.
    pub(super) fn fingerprint(&self, path: &crate::StorePath) -> String {
        format!(
            "fixed:out:{}:{}:{path}",
            self.method(),
            self.hash.to_base16()
        )
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut print: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        print(out, item);
    }
    out.push(b']');
}

fn quoted(out: &mut Vec<u8>, mut string: &[u8]) {
    out.push(b'"');
    loop {
        let (plain, rest) = string.split_at(find_special(string));
        out.extend_from_slice(plain);
        let Some((special, rest)) = rest.split_first() else {
            break;
        };
        let escape = match special {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            other => *other,
        };
        out.extend_from_slice(&[b'\\', escape]);
        string = rest;
    }
    out.push(b'"');
}
