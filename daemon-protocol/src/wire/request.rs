//! Writing.

use grange_derivation::StorePath;

use super::Opcode;

/// What a client says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request(Vec<u8>);

impl Request {
    /// Asks for an operation; its arguments follow.
    #[must_use]
    pub fn new(operation: Opcode) -> Self {
        let mut request = Self::empty();
        request.number(operation as u64);
        request
    }

    /// Something that is no operation, such as a greeting.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// An integer.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// A truth value.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.number(flag.into())
    }

    /// A string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self
    }

    /// A store path.
    pub fn path(&mut self, path: &StorePath) -> &mut Self {
        self.bytes(path.to_string().as_bytes())
    }

    /// A store path or none.
    pub fn optional_path(&mut self, path: Option<&StorePath>) -> &mut Self {
        match path {
            Some(path) => self.path(path),
            None => self.bytes(b""),
        }
    }

    /// A list of store paths.
    pub fn paths<'a, I>(&mut self, paths: I) -> &mut Self
    where
        I: IntoIterator<Item = &'a StorePath>,
        I::IntoIter: ExactSizeIterator,
    {
        let paths = paths.into_iter();
        self.number(paths.len() as u64);
        for path in paths {
            self.path(path);
        }
        self
    }

    /// A list of named values.
    pub fn pairs<'a, I>(&mut self, pairs: I) -> &mut Self
    where
        I: IntoIterator<Item = (&'a [u8], &'a [u8])>,
        I::IntoIter: ExactSizeIterator,
    {
        let pairs = pairs.into_iter();
        self.number(pairs.len() as u64);
        for (name, value) in pairs {
            self.bytes(name).bytes(value);
        }
        self
    }

    /// As it goes out.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
