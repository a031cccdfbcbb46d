//! What users do in one round, whatever dies meanwhile.

use anyhow::Context as _;

use crate::audit;
use crate::farm::Client;
use crate::random::Random;
use crate::work::{Build, PRUNED, source};

/// Bytes of outputs: some come in one piece, some in several, and at least one does so in each round.
const SMALL: u64 = 2_000;
const SEVERAL: u64 = 300_000;
const LARGE: u64 = 900_000;

/// The builds of a round.
#[derive(Debug)]
pub(crate) struct Round {
    client: Client,
    library: Build,
    /// Needs the library and a source.
    program: Build,
    /// Whose output is pruned again.
    passing: Build,
}

impl Round {
    pub(crate) fn new(client: Client, number: usize, random: &mut Random) -> anyhow::Result<Self> {
        let mut size =
            |least, most| usize::try_from(least + random.below(most - least)).unwrap_or(1);
        let sizes = [size(SEVERAL, LARGE), size(1, LARGE), size(1, SMALL)];
        let given = source(&client, &format!("source-{number}"))?;
        // Every other one takes so long that its results are written through to the disk.
        let slow = number.is_multiple_of(2);
        let pause = if slow { "0.04" } else { "0.001" };
        let build = |name: &str, size, source, input, tag| {
            let name = format!("{name}-{number}");
            Build::new(&client, name, size, pause, source, input, tag)
        };
        let library = build("library", sizes[0], None, None, None)?;
        let program = build("program", sizes[1], Some(given), Some(&library), None)?;
        let passing = build("passing", sizes[2], None, None, Some(PRUNED))?;
        Ok(Self {
            client,
            library,
            program,
            passing,
        })
    }

    /// Builds, follows, fetches and prunes, each again until it is acknowledged. Gives the builds, with their logs.
    pub(crate) fn run(self, key: &std::path::Path) -> anyhow::Result<Vec<(Build, Vec<u8>)>> {
        let builds = [self.library, self.program, self.passing];
        for build in &builds {
            build.submit(&self.client)?;
        }
        let following = builds.each_ref().map(|build| build.follow(&self.client));
        for build in &builds {
            build.wait(&self.client)?;
        }
        for build in builds.iter().filter(|build| !build.is_pruned()) {
            audit::published(&self.client, key, build)?;
        }
        self.client
            .grange(&["artifacts", "prune", "--tag", PRUNED, "--delete"])?;
        let mut done = Vec::new();
        for (build, following) in builds.into_iter().zip(following) {
            let followed = following.join();
            let followed = followed
                .ok()
                .context("the thread that follows panicked")??;
            anyhow::ensure!(
                build.log(&self.client)? == followed,
                "{}: what was followed is another log: {}",
                build.name,
                String::from_utf8_lossy(&followed)
            );
            done.push((build, followed));
        }
        Ok(done)
    }
}
