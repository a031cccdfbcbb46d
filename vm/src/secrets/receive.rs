//! The guest's end.

use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use lexpr::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{SecretsError, datum};

/// A file has at most so many bytes.
const MOST: u64 = 64 << 20;

/// Receives secrets from a host that has connected, and writes them below `root`. Returns their paths.
///
/// A file appears whole or not at all: it is written beside its place first. What is there already is replaced.
///
/// # Errors
///
/// What comes is wrong, ends too early, or cannot be written. What came before is written.
pub async fn receive_secrets(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    root: &Path,
) -> Result<Vec<PathBuf>, SecretsError> {
    let connection = SecretsError::Connection;
    let greeting = b"(secret-service-server (version 0))";
    stream.write_all(greeting).await.map_err(connection)?;
    stream.flush().await.map_err(connection)?;
    let head = datum::read(stream).await?;
    let (version, rest) = datum::open(&head, "secrets")?;
    if version != 0 {
        return Err(SecretsError::Version(version));
    }
    let mut paths = Vec::new();
    for announced in files(rest)? {
        announced.receive(stream, root).await?;
        paths.push(PathBuf::from(announced.path));
    }
    Ok(paths)
}

/// `((files ((PATH SIZE MODE) …)))`.
fn files(rest: &Value) -> Result<Vec<Announced>, SecretsError> {
    let wrong = || SecretsError::Protocol(rest.to_string().chars().take(80).collect());
    let (entry, _) = rest.as_pair().ok_or_else(wrong)?;
    let (key, files) = entry.as_pair().ok_or_else(wrong)?;
    let (files, _) = files.as_pair().ok_or_else(wrong)?;
    if key.as_symbol() != Some("files") {
        return Err(wrong());
    }
    let files = files.list_iter().ok_or_else(wrong)?;
    files
        .map(|file| Announced::new(file).ok_or_else(wrong)?.check())
        .collect()
}

/// A file that is about to come.
struct Announced {
    path: String,
    size: u64,
    mode: u32,
}

impl Announced {
    fn new(file: &Value) -> Option<Self> {
        let mut parts = file.list_iter()?;
        let path = parts.next()?.as_str()?.to_owned();
        let size = parts.next()?.as_u64()?;
        let mode = u32::try_from(parts.next()?.as_u64()?).ok()?;
        parts.next().is_none().then_some(Self { path, size, mode })
    }

    fn check(self) -> Result<Self, SecretsError> {
        let mut parts = Path::new(&self.path).components();
        let absolute = parts.next() == Some(Component::RootDir);
        let named = parts.clone().next().is_some() && !self.path.ends_with('/');
        let plain = parts.all(|part| matches!(part, Component::Normal(_)));
        // `a/./b` loses its dot in `components`, and `\0` is in no path.
        if !absolute || !named || !plain || self.path.contains("/./") || self.path.contains('\0') {
            return Err(SecretsError::Path(self.path));
        }
        if self.size > MOST {
            return Err(SecretsError::Size(self.size));
        }
        Ok(self)
    }

    async fn receive(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        root: &Path,
    ) -> Result<(), SecretsError> {
        let failed = |error| SecretsError::Write(self.path.clone(), error);
        let target = root.join(self.path.trim_start_matches('/'));
        let directory = target.parent().unwrap_or(root);
        tokio::fs::create_dir_all(directory).await.map_err(failed)?;
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".incoming");
        let beside = target.with_file_name(name);
        // Whatever is there under this name, also a link, is not written to.
        match tokio::fs::remove_file(&beside).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = tokio::fs::OpenOptions::from(options).open(&beside).await;
        let mut file = file.map_err(failed)?;
        let received = match self.copy(stream, &mut file).await {
            Ok(()) => tokio::fs::rename(&beside, &target).await.map_err(failed),
            error => error,
        };
        if received.is_err() {
            // The error that is returned says more than one of this would.
            let _: io::Result<()> = tokio::fs::remove_file(&beside).await;
        }
        received
    }

    async fn copy(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        file: &mut tokio::fs::File,
    ) -> Result<(), SecretsError> {
        let failed = |error| SecretsError::Write(self.path.clone(), error);
        let mut left = self.size;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let most = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let count = stream.read(&mut buffer[..most]).await;
            let count = count.map_err(SecretsError::Connection)?;
            if count == 0 {
                let short = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(SecretsError::Connection(short));
            }
            file.write_all(&buffer[..count]).await.map_err(failed)?;
            left -= count as u64;
        }
        let mode = std::fs::Permissions::from_mode(self.mode & 0o7777);
        file.set_permissions(mode).await.map_err(failed)?;
        file.sync_all().await.map_err(failed)
    }
}
