//! What a package says of itself: `deb-control(5)`.

use std::io::{self, Read};

use tar::Archive;

/// Bytes that a control file may have. The largest of Debian have some 100 KiB.
const MOST_BYTES: u64 = 4 << 20;

/// What a package says of itself, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub package: String,
    /// Packages that files may be taken from.
    pub replaces: Vec<String>,
}

/// Reads the file `control` of `control.tar`.
pub(super) fn read(source: impl Read) -> io::Result<Control> {
    let mut archive = Archive::new(source);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path_bytes();
        if path.as_ref() != b"./control" && path.as_ref() != b"control" {
            continue;
        }
        let mut text = Vec::new();
        entry.take(MOST_BYTES).read_to_end(&mut text)?;
        return Ok(parse(&String::from_utf8_lossy(&text)));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "it has no control file",
    ))
}

fn parse(text: &str) -> Control {
    let mut control = Control::default();
    let mut field = String::new();
    for line in text.lines() {
        let value = match line.split_once(':') {
            Some((name, value)) if !line.starts_with([' ', '\t']) => {
                field = name.to_ascii_lowercase();
                value
            }
            _ => line,
        };
        match field.as_str() {
            "package" => control.package.push_str(value.trim()),
            "replaces" => {
                // `name (<< version), name`; whether the version is met, apt has seen.
                let names = value
                    .split(',')
                    .filter_map(|it| it.split_whitespace().next());
                let plain = |it: &str| it.split(':').next().unwrap_or(it).to_owned();
                control.replaces.extend(names.map(plain));
            }
            _ => {}
        }
    }
    control
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_over_lines() {
        let control =
            parse("Package: a\nReplaces: b (<< 1),\n c:any, d\nDescription: x\n replaces: e\n");
        assert_eq!(control.package, "a");
        assert_eq!(control.replaces, ["b", "c", "d"]);
    }
}
