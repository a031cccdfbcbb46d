//! Export archives: what `guix archive --export` writes and a daemon's `import-paths` reads.
//!
//! ```text
//! export  = { item } 0
//! item    = 1 NAR "NIXE" PATH COUNT { REFERENCE } DERIVER ( 1 SIGNATURE | 0 )
//! ```
//!
//! Numbers are 8 bytes, little-endian; strings have their length in front and zeros up to a multiple of 8 behind.
//! `"NIXE"` is the number 0x4558494e, DERIVER is empty if there is none. The signature is of the SHA-256 of everything
//! from the nar's first byte to the deriver's last; guix-daemon refuses an item without one, even from root.
//!
//! To write, put the parts around nars that come from anywhere:
//!
//! ```
//! use grange_derivation::{StorePath, nar::Encoder};
//! use grange_signatures::{export, guix::SecretKey};
//!
//! let key = SecretKey::generate(&[7; 32]); // random bytes, in earnest
//! let path = StorePath::parse_any("/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello")?;
//! let mut encoder = Encoder::new(Vec::new());
//! encoder.regular(false, 0)?;
//! let (nar, _) = encoder.finish()?;
//!
//! let mut archive = export::ITEM.to_vec();
//! let mut signing = export::Signing::new();
//! for piece in nar.chunks(100) {
//!     signing.update(piece);
//!     archive.extend_from_slice(piece);
//! }
//! let trailer = export::Trailer { path, references: [].into(), deriver: None };
//! archive.extend(signing.finish(&trailer, &key));
//! archive.extend(export::END);
//! # let mut decoder = export::Decoder::new(grange_derivation::StoreDir::guix());
//! # let mut input = &archive[..];
//! # while let Some(event) = decoder.decode(&mut input)? {
//! #     if let export::Event::Item(item) = event {
//! #         let mut trusted = grange_signatures::TrustedKeys::new();
//! #         trusted.add_guix(*key.public());
//! #         assert_eq!(item.verify(&trusted)?, *key.public());
//! #     }
//! # }
//! # decoder.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decoder;
mod error;
mod item;
mod wire;
mod writer;

pub use decoder::{Decoder, Event};
pub use error::Error;
pub use item::Item;
pub use wire::{END, ITEM, MAX_PATH, MAX_REFERENCES, MAX_SIGNATURE};
pub use writer::{Signing, Trailer};
