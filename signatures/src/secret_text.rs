//! Text that holds a secret.

use std::fmt;
use zeroize::Zeroizing;

/// What to write to a file that only its owner may read. Overwritten when dropped, never shown by `{:?}`.
#[derive(Clone)]
pub struct SecretText(Zeroizing<Vec<u8>>);

impl SecretText {
    pub(crate) fn new(text: Vec<u8>) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The bytes, secret included.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}
