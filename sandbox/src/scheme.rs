//! The little of Scheme that Guix writes into derivations: strings, symbols and lists, as `write` prints them.

/// A datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// A string: what it stands for, without quotes and escapes.
    Text(String),
    /// A symbol or a number: what is neither a string nor a list.
    Symbol(String),
    /// A list.
    List(Vec<Self>),
}

/// Lists in lists in lists…: no further than this.
const MAX_DEPTH: usize = 32;

/// Reads one datum and nothing but white space after it.
///
/// # Errors
///
/// In words: it is not UTF-8, no datum, more than one, or nested more than 32 deep.
pub fn read(text: &[u8]) -> Result<Datum, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = Reader { rest: text };
    let datum = reader.datum(0)?;
    reader.skip_space();
    if reader.rest.is_empty() {
        Ok(datum)
    } else {
        Err("something follows the datum".to_owned())
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next();
        self.rest = chars.as_str();
        char
    }

    fn datum(&mut self, depth: usize) -> Result<Datum, String> {
        self.skip_space();
        if depth > MAX_DEPTH {
            return Err("lists are nested too deep".to_owned());
        }
        match self.rest.chars().next() {
            None => Err("it ends too early".to_owned()),
            Some('"') => {
                self.next();
                self.text().map(Datum::Text)
            }
            Some('(') => {
                self.next();
                self.list(depth).map(Datum::List)
            }
            Some(')') => Err("a list ends that did not begin".to_owned()),
            Some(_) => {
                let end = self
                    .rest
                    .find(|char: char| char.is_whitespace() || "()\"".contains(char));
                let (symbol, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                Ok(Datum::Symbol(symbol.to_owned()))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Datum>, String> {
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(items);
            }
            items.push(self.datum(depth + 1)?);
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next().ok_or("a string does not end")? {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                char => text.push(char),
            }
        }
    }

    /// What Guile writes after a backslash.
    fn escape(&mut self) -> Result<char, String> {
        let digits = match self.next().ok_or("a string does not end")? {
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'a' => return Ok('\x07'),
            '0' => return Ok('\0'),
            'x' => 2,
            'u' => 4,
            'U' => 6,
            char @ ('"' | '\\') => return Ok(char),
            char => return Err(format!("a string has the unknown escape \\{char}")),
        };
        let code: String = (0..digits).filter_map(|_| self.next()).collect();
        // A number may have a sign before it; an escape may not.
        let number = match code.starts_with('+') {
            true => None,
            false => u32::from_str_radix(&code, 16).ok(),
        };
        let char = number.and_then(char::from_u32);
        char.ok_or_else(|| format!("a string has the unknown character {code}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Datum {
        Datum::Text(text.to_owned())
    }

    #[test]
    fn what_guix_writes() {
        assert_eq!(
            read(br#""https://example.org/a b""#),
            Ok(text("https://example.org/a b"))
        );
        assert_eq!(
            read(br#"("one" "two") "#),
            Ok(Datum::List(vec![text("one"), text("two")]))
        );
        assert_eq!(
            read(br#"((gnu "https://one/") (cran))"#),
            Ok(Datum::List(vec![
                Datum::List(vec![Datum::Symbol("gnu".to_owned()), text("https://one/")]),
                Datum::List(vec![Datum::Symbol("cran".to_owned())]),
            ]))
        );
        assert_eq!(read(br#""a\"b\\c\n\x07""#), Ok(text("a\"b\\c\n\x07")));
    }

    #[test]
    fn what_is_no_datum() {
        for bad in [
            "",
            "\"",
            "(",
            ")",
            "\"a\" \"b\"",
            "\"\\q\"",
            "\"\\xzz\"",
            "\"\\uD800\"",
            "\"\\x+1\"",
            &"(".repeat(1000),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }
}
