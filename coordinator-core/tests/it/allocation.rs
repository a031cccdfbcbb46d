//! Who gets what, as scenarios in `testdata`: commands, `----`, what came of them.
//! `UPDATE_EXPECT=1` writes anew what is expected.
//!
//! ```text
//! derivation NAME [SYSTEM] [+FEATURE] [<INPUT]
//! submit BUILD DERIVATION PRIORITY [KEY=VALUE]
//! agent AGENT SYSTEM,… [KEY=VALUE[!]]     (! for exclusive)
//! ask AGENT PARALLEL                      asks for work, holding what it has
//! wait AGENT PARALLEL                     the same, and waits for it
//! done AGENT DERIVATION                   reports success
//! setup-failed AGENT DERIVATION
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use grange_coordinator_core::{Assignment, Capacity, Config, Policy, Reply, Ticket};
use grange_model::{BuildSpec, SetupProblem};

use crate::world::names::{capacity, drv, spec, tags};
use crate::world::{World, setup_failure};

struct Scenario {
    world: World,
    agents: BTreeMap<u128, (Capacity, Vec<Assignment>, Option<Ticket>)>,
    lines: Vec<String>,
}

impl Scenario {
    fn run(commands: &str) -> String {
        let config = Config {
            policy: Policy {
                lookahead: 2,
                ..Policy::default()
            },
            ..Config::default()
        };
        let mut scenario = Self {
            world: World::with(config),
            agents: BTreeMap::new(),
            lines: Vec::new(),
        };
        for line in commands.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split_whitespace().collect();
            scenario.command(&words);
            scenario.hear(line);
        }
        let mut left: Vec<_> = scenario
            .world
            .core
            .builds(None)
            .map(|status| {
                format!(
                    "{} {}",
                    status.record.derivation.name,
                    status.state.as_str()
                )
            })
            .collect();
        left.sort();
        scenario.lines.push(format!("left: {}", left.join(", ")));
        scenario.lines.join("\n") + "\n"
    }

    fn command(&mut self, words: &[&str]) {
        match words {
            ["derivation", name, rest @ ..] => {
                let mut new = drv(name);
                for word in rest {
                    new = match word.split_at(1) {
                        ("+", feature) => new.feature(feature),
                        ("<", input) => new.needs(input),
                        _ => new.system(word),
                    };
                }
                self.world.store(&[new]);
            }
            ["submit", build, derivation, priority, rest @ ..] => {
                let requires: Vec<_> = rest
                    .iter()
                    .filter_map(|word| word.split_once('='))
                    .collect();
                self.world.build(BuildSpec {
                    priority: priority.parse().unwrap(),
                    requires: tags(&requires),
                    ..spec(build.parse().unwrap(), derivation)
                });
            }
            ["agent", agent, systems, rest @ ..] => {
                let mut capacity = capacity(1);
                capacity.systems = systems.split(',').map(str::to_owned).collect();
                for word in rest {
                    let (key, value) = word.split_once('=').unwrap();
                    let plain = value.trim_end_matches('!');
                    capacity.tags.insert(key.to_owned(), plain.to_owned());
                    if plain != value {
                        capacity.exclusive.push(key.to_owned());
                    }
                }
                let agent = agent.parse().unwrap();
                self.world.add_agent(agent);
                self.agents.insert(agent, (capacity, Vec::new(), None));
            }
            ["ask", agent, parallel] => self.exchange(agent, parallel, 0),
            ["wait", agent, parallel] => self.exchange(agent, parallel, 20_000),
            ["done", agent, derivation] => {
                let (agent, assignment) = self.give_back(agent, derivation);
                self.world.succeed(agent, &assignment);
            }
            ["setup-failed", agent, derivation] => {
                let (agent, assignment) = self.give_back(agent, derivation);
                let report = setup_failure(SetupProblem::DiskFull);
                let reply = self.world.report(agent, assignment.attempt, report);
                assert_eq!(reply, Reply::Done);
            }
            other => panic!("no command: {other:?}"),
        }
    }

    fn exchange(&mut self, agent: &str, parallel: &str, wait_ms: u64) {
        let agent = agent.parse().unwrap();
        let (capacity, held, waits) = self.agents.get_mut(&agent).unwrap();
        capacity.parallel = parallel.parse().unwrap();
        let held: Vec<_> = held.iter().map(|one| one.attempt).collect();
        let ticket = self.world.exchange(agent, capacity.clone(), &held, wait_ms);
        *waits = Some(ticket);
    }

    fn give_back(&mut self, agent: &str, derivation: &str) -> (u128, Assignment) {
        let agent = agent.parse().unwrap();
        let (_, held, _) = self.agents.get_mut(&agent).unwrap();
        let at = held
            .iter()
            .position(|one| one.derivation.name == derivation);
        (agent, held.remove(at.expect("it holds it")))
    }

    /// Writes down what agents were told.
    fn hear(&mut self, command: &str) {
        for (number, (_, held, waits)) in &mut self.agents {
            let told = waits.and_then(|ticket| self.world.told(ticket));
            if let Some(reply) = told {
                *waits = None;
                let names = reply.assign.iter().map(|one| one.derivation.name.as_str());
                let names: Vec<_> = names.collect();
                let names = if names.is_empty() {
                    "nothing".to_owned()
                } else {
                    names.join(" ")
                };
                self.lines
                    .push(format!("{command}: agent {number} gets {names}"));
                held.extend(reply.assign);
            }
        }
    }
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let (commands, expected) = text.split_once("----\n").expect("commands, ----, expected");
    let came = Scenario::run(commands);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{commands}----\n{came}")).unwrap();
    } else {
        assert_eq!(came, expected, "{name}; UPDATE_EXPECT=1 writes it anew");
    }
}

#[test]
fn priority_then_age() {
    check("priority-then-age.txt");
}

#[test]
fn most_room() {
    check("most-room.txt");
}

#[test]
fn requires_and_exclusive() {
    check("requires-and-exclusive.txt");
}

#[test]
fn systems() {
    check("systems.txt");
}

#[test]
fn classes_by_priority() {
    check("classes-by-priority.txt");
}

#[test]
fn lookahead() {
    check("lookahead.txt");
}
