//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside connections: the database, artifacts that are read and written, requests to servers of others.
const OTHERS: u64 = 512;
/// Connections that a server must have to be of use.
const LEAST: usize = 64;

/// Raises the limit as far as the process may without asking anybody, and returns it. The soft limit of 1,024 that
/// shells and service managers give is for programs that cannot cope with more; with it, a thousand idle connections
/// would leave no file for the database.
pub(crate) fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, ?current, "cannot raise the limit of open files");
        return current.unwrap_or(u64::MAX);
    }
    maximum.unwrap_or(u64::MAX)
}

/// How many connections each of `servers` may have, at most `wanted`, so that files are left for everything else.
pub(crate) fn connections(limit: u64, servers: usize, wanted: usize) -> usize {
    let each = limit.saturating_sub(OTHERS) / servers.max(1) as u64;
    let each = usize::try_from(each).unwrap_or(usize::MAX).max(LEAST);
    if each < wanted {
        tracing::warn!(
            limit,
            "each address takes only {each} connections instead of {wanted}: raise the limit of open files \
             (LimitNOFILE= of systemd)"
        );
    }
    each.min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(connections(65_536, 3, 4096), 4096);
        assert_eq!(connections(u64::MAX, 1, 4096), 4096);
        assert_eq!(connections(4096, 2, 4096), 1792);
        assert_eq!(connections(100, 2, 4096), LEAST);
    }
}
