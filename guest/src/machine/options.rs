//! What the kernel's command line asks of us.

/// The options of ours. Those of others are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `grange.root=DEVICE:FSTYPE`: the read-only root. Without, the machine stays in its initramfs.
    pub(super) root: Option<Source>,
    /// `grange.tools=DEVICE:FSTYPE`: mounted at `/run/grange/tools`.
    pub(super) tools: Option<Source>,
    /// `grange.disk=DEVICE:FSTYPE`: what is written to the root goes there. Without, it takes memory.
    pub(super) disk: Option<Source>,
    /// `grange.init=PATH`: becomes the machine's first process.
    pub(super) init: Option<String>,
    /// `grange.hostname=NAME`.
    pub(super) hostname: Option<String>,
    /// `grange.overlay-size=SIZE`: how much may be written to the root, as tmpfs(5) takes it: bytes, with k, m, g, or per
    /// cent of the memory.
    pub(super) overlay_size: Option<String>,
}

/// A file system on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) device: String,
    pub(super) kind: String,
}

impl Options {
    /// Reads a command line. Unknown options of ours are an error: they would have meant something.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for option in line.split_ascii_whitespace() {
            let Some(ours) = option.strip_prefix("grange.") else {
                continue;
            };
            let (name, value) = ours
                .split_once('=')
                .filter(|(_, value)| !value.is_empty())
                .ok_or_else(|| format!("{option} needs a value"))?;
            match name {
                "root" => options.root = Some(Source::parse(option, value)?),
                "tools" => options.tools = Some(Source::parse(option, value)?),
                "disk" => options.disk = Some(Source::parse(option, value)?),
                "init" => options.init = Some(value.into()),
                "hostname" => options.hostname = Some(value.into()),
                "overlay-size" => options.overlay_size = Some(size(option, value)?),
                _ => return Err(format!("{option} is unknown")),
            }
        }
        Ok(options)
    }
}

impl Source {
    fn parse(option: &str, value: &str) -> Result<Self, String> {
        match value.rsplit_once(':') {
            Some((device, kind)) if device.starts_with('/') && !kind.is_empty() => Ok(Self {
                device: device.into(),
                kind: kind.into(),
            }),
            _ => Err(format!("{option} is not DEVICE:FSTYPE")),
        }
    }
}

/// It becomes part of mount options, where commas would begin others.
fn size(option: &str, value: &str) -> Result<String, String> {
    let digits = value.trim_end_matches(['k', 'm', 'g', '%', 'K', 'M', 'G']);
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if number && value.len() <= digits.len() + 1 {
        Ok(value.into())
    } else {
        Err(format!("{option} is no size"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read() {
        let line = "console=ttyS0 root=/dev/x grange.root=/dev/vda:squashfs grange.tools=/dev/vdb:erofs \
                    grange.disk=/dev/vdc:ext4 grange.init=/sbin/init grange.hostname=vm-1 grange.overlay-size=80% quiet\n";
        let source = |device: &str, kind: &str| {
            Some(Source {
                device: device.into(),
                kind: kind.into(),
            })
        };
        let expected = Options {
            root: source("/dev/vda", "squashfs"),
            tools: source("/dev/vdb", "erofs"),
            disk: source("/dev/vdc", "ext4"),
            init: Some("/sbin/init".into()),
            hostname: Some("vm-1".into()),
            overlay_size: Some("80%".into()),
        };
        assert_eq!(Options::parse(line), Ok(expected));
        assert_eq!(Options::parse("quiet"), Ok(Options::default()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for wrong in [
            "grange.root=vda:squashfs",
            "grange.root=/dev/vda",
            "grange.tools=/dev/vda:",
            "grange.init=",
            "grange.hostname",
            "grange.rot=/dev/vda:squashfs",
            "grange.overlay-size=1,mode=777",
            "grange.overlay-size=%",
            "grange.overlay-size=1gg",
        ] {
            let said = Options::parse(wrong).unwrap_err();
            assert!(said.starts_with(wrong), "{said}");
        }
    }
}
