//! The queue in PostgreSQL.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;
use postgres::{Client, Statement};

use crate::queues::builds::{Builds, SYSTEMS};
use crate::queues::plain::{Plain, State};
use crate::queues::turns::Way;

/// How decisions are made in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Builds that are ready lie in an index in their order; the first that nobody else has locked is taken. Each build
    /// counts what it waits for.
    SkipLocked,
    /// Cuirass's way: nothing is counted. For each request, all unfinished builds of the system are joined with what they
    /// need, and of those that lack nothing the first is taken.
    Scan,
}

/// What both have in common: a row for each build with its derived priority, which nobody has to compute, and a row for
/// each input.
///
/// `builds` leaves room in its pages, so that counting touches no index.
const TABLES: &str = "
    CREATE TABLE builds (
        id integer NOT NULL,
        system smallint NOT NULL,
        priority integer NOT NULL,
        missing integer NOT NULL,
        state smallint NOT NULL
    ) WITH (fillfactor = 60);
    CREATE TABLE inputs (build integer NOT NULL, input integer NOT NULL);";

const KEYS: &str = "
    ALTER TABLE builds ADD PRIMARY KEY (id);
    CREATE INDEX inputs_of ON inputs (build) INCLUDE (input);
    CREATE INDEX users_of ON inputs (input) INCLUDE (build);
    CREATE TABLE warm AS SELECT id, missing, state FROM builds;
    ALTER TABLE warm ADD PRIMARY KEY (id);";

/// What each queue looks for by: states are 0 (blocked), 1 (ready), 2 (running), 3 (finished).
const READY: &str = "
    DROP INDEX IF EXISTS unfinished;
    CREATE INDEX ready ON builds (system, priority DESC, id) WHERE state = 1;";
const UNFINISHED: &str = "
    DROP INDEX IF EXISTS ready;
    CREATE INDEX unfinished ON builds (system, priority DESC, id) WHERE state < 2;";

const RESTORE: &str = "
    UPDATE builds SET missing = warm.missing, state = warm.state FROM warm
        WHERE warm.id = builds.id AND (warm.missing, warm.state) <> (builds.missing, builds.state);";

const SKIP_LOCKED_ASK: &str = "
    UPDATE builds SET state = 2 WHERE id = (
        SELECT id FROM builds WHERE state = 1 AND system = $1
        ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id";
const SKIP_LOCKED_FINISH: &str = "
    WITH finished AS (UPDATE builds SET state = 3 WHERE id = $1)
    UPDATE builds
        SET missing = missing - 1, state = CASE missing WHEN 1 THEN 1 ELSE state END
        WHERE id IN (SELECT build FROM inputs WHERE input = $1)";

const SCAN_ASK: &str = "
    WITH unfinished AS (
        SELECT one.id, one.priority, count(needed.id) AS lacks FROM builds AS one
            LEFT JOIN inputs ON inputs.build = one.id
            LEFT JOIN builds AS needed ON needed.id = inputs.input AND needed.state <> 3
        WHERE one.state < 2 AND one.system = $1
        GROUP BY one.id
    )
    UPDATE builds SET state = 2 WHERE id = (
        SELECT id FROM unfinished WHERE lacks = 0 ORDER BY priority DESC, id LIMIT 1
    ) RETURNING id";
const SCAN_FINISH: &str = "UPDATE builds SET state = 3 WHERE id = $1";

/// Builds in tables.
#[derive(Debug)]
pub struct Tables<'a> {
    from: &'a Plain<'a>,
    builds: &'a Builds,
}

impl<'a> Tables<'a> {
    /// Writes builds as they stand, instead of what is there.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub fn load(
        client: &mut Client,
        builds: &'a Builds,
        from: &'a Plain<'a>,
    ) -> anyhow::Result<Self> {
        client.batch_execute("DROP TABLE IF EXISTS builds, inputs, warm")?;
        let tables = Self { from, builds };
        let mut transaction = client.transaction()?;
        transaction.batch_execute(TABLES)?;
        let sink = transaction.copy_in(
            "COPY builds (id, system, priority, missing, state) FROM STDIN (FORMAT binary)",
        )?;
        let types = [Type::INT4, Type::INT2, Type::INT4, Type::INT4, Type::INT2];
        tables.write_builds(BinaryCopyInWriter::new(sink, &types))?;
        let sink = transaction.copy_in("COPY inputs (build, input) FROM STDIN (FORMAT binary)")?;
        let types = [Type::INT4, Type::INT4];
        tables.write_inputs(BinaryCopyInWriter::new(sink, &types))?;
        transaction.batch_execute(KEYS)?;
        transaction.commit()?;
        client.batch_execute("VACUUM ANALYZE inputs")?;
        Ok(tables)
    }

    fn write_builds(&self, mut writer: BinaryCopyInWriter<'_>) -> anyhow::Result<()> {
        for build in self.builds.all() {
            let at = build as usize;
            writer.write(&[
                &i32::try_from(build)?,
                &i16::try_from(self.builds.system(build))?,
                &self.builds.priority(build),
                &i32::try_from(self.from.missing()[at])?,
                &number(self.from.states()[at]),
            ])?;
        }
        writer.finish()?;
        Ok(())
    }

    fn write_inputs(&self, mut writer: BinaryCopyInWriter<'_>) -> anyhow::Result<()> {
        for build in self.builds.all() {
            for user in self.builds.users(build) {
                writer.write(&[&i32::try_from(*user)?, &i32::try_from(build)?])?;
            }
        }
        writer.finish()?;
        Ok(())
    }

    /// All as it was when it was loaded, for one way of queueing. `durable` is the default, `synchronous_commit`: a commit is
    /// on the disk before it is answered.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub fn queue<'c>(
        &self,
        client: &'c mut Client,
        queue: Queue,
        durable: bool,
    ) -> anyhow::Result<SqlWay<'c>> {
        let (index, ask, finish) = match queue {
            Queue::SkipLocked => (READY, SKIP_LOCKED_ASK, SKIP_LOCKED_FINISH),
            Queue::Scan => (UNFINISHED, SCAN_ASK, SCAN_FINISH),
        };
        client.batch_execute("DROP INDEX IF EXISTS ready")?;
        client.batch_execute(RESTORE)?;
        client.batch_execute(index)?;
        client.batch_execute("VACUUM ANALYZE builds")?;
        client.batch_execute("CHECKPOINT")?;
        let durable = if durable { "on" } else { "off" };
        client.batch_execute(&format!("SET synchronous_commit = {durable}"))?;
        Ok(SqlWay {
            ask: client.prepare(ask)?,
            finish: client.prepare(finish)?,
            client,
        })
    }
}

fn number(state: State) -> i16 {
    match state {
        State::Blocked => 0,
        State::Ready => 1,
        State::Running => 2,
        State::Finished => 3,
    }
}

/// A queue in tables, asked over one connection: a statement, which is a transaction, for each call.
#[expect(missing_debug_implementations, reason = "a client has none")]
pub struct SqlWay<'c> {
    client: &'c mut Client,
    ask: Statement,
    finish: Statement,
}

impl Way for SqlWay<'_> {
    fn finish(&mut self, _: usize, build: u32) -> anyhow::Result<Duration> {
        let build = i32::try_from(build)?;
        let begun = Instant::now();
        self.client.execute(&self.finish, &[&build])?;
        Ok(begun.elapsed())
    }

    fn ask(&mut self, agent: usize) -> anyhow::Result<(Option<u32>, Duration)> {
        let system = i16::try_from(agent % SYSTEMS.len())?;
        let begun = Instant::now();
        let row = self.client.query_opt(&self.ask, &[&system])?;
        let took = begun.elapsed();
        let given = row.map(|row| u32::try_from(row.get::<_, i32>(0)));
        let given = given.transpose().context("no build has such a number")?;
        Ok((given, took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::cluster::{Cluster, NOT_INSTALLED};
    use crate::queues::turns::Turns;
    use crate::report::line;

    #[test]
    fn tables_decide_as_the_plainest_queue_does() {
        let Some(cluster) = Cluster::start("16MB").unwrap() else {
            line(&format!("skipped: {NOT_INSTALLED}"));
            return;
        };
        let builds = Builds::new(1_000);
        let mut plain = Plain::new(&builds);
        let mut turns = Turns::new();
        turns.take(&mut plain, 150, Duration::MAX).unwrap();
        let warm = plain.clone();
        let mut client = cluster.connect().unwrap();
        let tables = Tables::load(&mut client, &builds, &warm).unwrap();
        let mut rest = turns.clone();
        let expected = rest.take(&mut plain, 300, Duration::MAX).unwrap();
        for queue in [Queue::SkipLocked, Queue::Scan, Queue::SkipLocked] {
            let mut way = tables.queue(&mut client, queue, false).unwrap();
            let mut turns = turns.clone();
            let sampled = turns.take(&mut way, 300, Duration::MAX).unwrap();
            assert_eq!(sampled.given, expected.given, "{queue:?}");
        }
    }
}
