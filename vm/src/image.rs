//! What a machine boots, and where that comes from.

use std::fmt::Debug;
use std::path::Path;

use grange_vm_image::{Contents, ImageError, ImageStore};

use crate::qemu::{Boot, Disk, DiskFormat};

/// What is there to be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootImage {
    /// What it is known by; another one has another.
    pub id: String,
    /// What QEMU loads.
    pub boot: Boot,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// Whether our guest program runs in it, which is spoken to by the channel.
    pub has_guest: bool,
}

/// Where images come from.
///
/// # Contract
///
/// - What is returned stays as it is for as long as somebody uses it.
/// - The same `id` is the same bytes.
pub trait ImageSource: Debug + Send + Sync {
    /// The image of that name, or whose id begins so. May block.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be used; whose turn it is says [`ImageError::fault`].
    fn find(&self, image: &str) -> Result<BootImage, ImageError>;

    /// A disk with the programs that the guest is given beside its image, as a squashfs. May block.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    fn tools(
        &self,
        programs: &[grange_vm_image::ToolFile],
    ) -> Result<std::path::PathBuf, ImageError>;
}

impl ImageSource for ImageStore {
    fn find(&self, image: &str) -> Result<BootImage, ImageError> {
        let image = self.resolve(image)?;
        let root = image.contents() == Contents::Root;
        let format = match image.contents() {
            Contents::Qcow2 => DiskFormat::Qcow2,
            _ => DiskFormat::Raw,
        };
        let boot = match image.kernel() {
            Some(kernel) => Boot::Kernel {
                kernel,
                initrd: image.initrd(),
                arguments: if root {
                    "grange.root=/dev/vda:squashfs".into()
                } else {
                    image.manifest().arguments.clone()
                },
            },
            None => Boot::Disk,
        };
        let disk = image.disk().map(|file| Disk {
            file,
            format,
            writable: !root,
            // What is kept is what is built, and that leaves by the channel.
            volatile: !root,
            durable: true,
        });
        Ok(BootImage {
            id: image.id().to_string(),
            boot,
            disks: disk.into_iter().collect(),
            has_guest: root,
        })
    }

    fn tools(
        &self,
        programs: &[grange_vm_image::ToolFile],
    ) -> Result<std::path::PathBuf, ImageError> {
        self.tools_disk(programs)
    }
}

impl BootImage {
    /// With another kernel in place of its own, as the file is now.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn with_kernel(mut self, other: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let about = std::fs::metadata(other)?;
        if let Boot::Kernel { kernel, .. } = &mut self.boot {
            other.clone_into(kernel);
        }
        let (size, inode) = (about.len(), about.ino());
        let (seconds, nanos) = (about.mtime(), about.mtime_nsec());
        self.id = format!("{} kernel {size} {inode} {seconds}.{nanos}", self.id);
        Ok(self)
    }

    /// With a further disk, on which the guest finds programs at `/run/grange/tools`.
    #[must_use]
    pub fn with_tools(self, file: &Path) -> Self {
        let tools = Disk {
            file: file.to_owned(),
            format: DiskFormat::Raw,
            writable: false,
            volatile: false,
            durable: true,
        };
        self.with("tools", "squashfs", tools)
    }

    /// With a further disk that the guest writes to in place of memory; if `volatile`, to a copy of it that goes with QEMU.
    #[must_use]
    pub fn with_disk(self, file: &Path, volatile: bool) -> Self {
        let disk = Disk {
            file: file.to_owned(),
            format: DiskFormat::Raw,
            writable: true,
            volatile,
            durable: false,
        };
        self.with("disk", "ext4", disk)
    }

    /// Adds a disk and tells our guest program what is on it.
    fn with(mut self, option: &str, kind: &str, disk: Disk) -> Self {
        let letter = (b'a'..=b'z').nth(self.disks.len()).map_or('z', char::from);
        if let Boot::Kernel { arguments, .. } = &mut self.boot {
            arguments.push_str(&format!(" grange.{option}=/dev/vd{letter}:{kind}"));
        }
        self.disks.push(disk);
        self
    }
}
