//! The disk's answers to the kernel.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::disk::{Disk, Failed, Node};
use super::mount::Place;

/// Nothing is remembered by the kernel: the next disk is another one.
const NOW: Duration = Duration::ZERO;
/// Bytes of a block, as it is told.
const BLOCK: u64 = 4096;
const GENERATION: Generation = Generation(0);

/// The file system.
#[derive(Debug)]
pub(super) struct Files(pub(super) Arc<Place>);

impl From<Failed> for Errno {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotFound => Self::ENOENT,
            Failed::Exists => Self::EEXIST,
            Failed::NotEmpty => Self::ENOTEMPTY,
            Failed::Full => Self::ENOSPC,
            Failed::Io => Self::EIO,
        }
    }
}

impl Files {
    /// As long as a write or a sync takes.
    fn pause(&self) {
        let pause = self.0.disk().faults.pause;
        std::thread::sleep(pause);
    }

    fn make(
        &self,
        directory: INodeNo,
        name: &OsStr,
        is_directory: bool,
        mode: u32,
    ) -> Result<FileAttr, Failed> {
        let mode = u16::try_from(mode & 0o777).unwrap_or(0o600);
        self.0.act(|disk| {
            let number = disk.make(directory.0, name, is_directory, mode)?;
            attributes(disk, number)
        })
    }
}

fn look_up(disk: &Disk, directory: INodeNo, name: &OsStr) -> Result<FileAttr, Failed> {
    attributes(disk, disk.find(directory.0, name)?)
}

fn attributes(disk: &Disk, number: u64) -> Result<FileAttr, Failed> {
    if disk.dead {
        return Err(Failed::Io);
    }
    let (kind, size) = match disk.nodes.get(&number).ok_or(Failed::NotFound)? {
        Node::File(file) => (FileType::RegularFile, file.now.len() as u64),
        Node::Directory(_) => (FileType::Directory, 0),
    };
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: disk.modes.get(&number).copied().unwrap_or(0o700),
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

fn entry(reply: ReplyEntry, made: Result<FileAttr, Failed>) {
    match made {
        Ok(attributes) => reply.entry(&NOW, &attributes, GENERATION),
        Err(failed) => reply.error(failed.into()),
    }
}

fn empty(reply: ReplyEmpty, done: Result<(), Failed>) {
    match done {
        Ok(()) => reply.ok(),
        Err(failed) => reply.error(failed.into()),
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.0.act(|disk| look_up(disk, parent, name)));
    }

    fn getattr(&self, _: &Request, of: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.act(|disk| attributes(disk, of.0)) {
            Ok(attributes) => reply.attr(&NOW, &attributes),
            Err(failed) => reply.error(failed.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        of: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = self.0.act(|disk| {
            if let Some(mode) = mode {
                disk.modes
                    .insert(of.0, u16::try_from(mode & 0o777).unwrap_or(0o600));
            }
            if let Some(size) = size {
                disk.set_length(of.0, place(size))?;
            }
            attributes(disk, of.0)
        });
        match set {
            Ok(attributes) => reply.attr(&NOW, &attributes),
            Err(failed) => reply.error(failed.into()),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.make(parent, name, true, mode));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, name, false, mode) {
            Ok(attributes) => reply.created(
                &NOW,
                &attributes,
                GENERATION,
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(failed) => reply.error(failed.into()),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.0.act(|disk| disk.remove(parent.0, name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.0.act(|disk| disk.remove(parent.0, name)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((parent.0, name), (to.0, new));
        empty(reply, self.0.act(|disk| disk.rename(from, to)));
    }

    fn link(&self, _: &Request, of: INodeNo, to: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.0.act(|disk| {
            disk.link(of.0, to.0, name)?;
            look_up(disk, to, name)
        });
        entry(reply, linked);
    }

    fn read(
        &self,
        _: &Request,
        of: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.0.act(|disk| {
            let file = disk.file(of.0)?;
            let begin = place(offset).min(file.now.len());
            let end = (begin + place(size.into())).min(file.now.len());
            Ok(file.now[begin..end].to_vec())
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(failed) => reply.error(failed.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        of: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.pause();
        match self.0.act(|disk| disk.write(of.0, place(offset), data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(failed) => reply.error(failed.into()),
        }
    }

    fn flush(
        &self,
        _: &Request,
        _of: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _: &Request,
        of: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.pause();
        empty(reply, self.0.act(|disk| disk.sync_file(of.0)));
    }

    fn fsyncdir(
        &self,
        _: &Request,
        of: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.pause();
        empty(reply, self.0.act(|disk| disk.sync_directory(of.0)));
    }

    fn readdir(
        &self,
        _: &Request,
        of: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = self.0.act(|disk| {
            let names = disk.directory(of.0)?;
            for (at, (name, number)) in names.iter().enumerate().skip(place(offset)) {
                let kind = match disk.nodes.get(number) {
                    Some(Node::Directory(_)) => FileType::Directory,
                    _ => FileType::RegularFile,
                };
                if reply.add(INodeNo(*number), at as u64 + 1, kind, name) {
                    break;
                }
            }
            Ok(())
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(failed) => reply.error(failed.into()),
        }
    }

    fn statfs(&self, _: &Request, _of: INodeNo, reply: ReplyStatfs) {
        let disk = self.0.disk();
        let free = disk.room.saturating_sub(disk.used()).min(1 << 40) / BLOCK;
        let all = free + disk.used() / BLOCK;
        reply.statfs(all, free, free, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}
