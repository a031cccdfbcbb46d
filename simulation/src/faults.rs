//! What goes wrong, and its end.

use crate::event::Event;
use crate::farm::Farm;
use crate::message::Peer;
use crate::scenario::Fault;
use crate::time::Moment;
use crate::violation::Violation;

impl Farm {
    pub(crate) fn fail(&mut self, at: usize) -> Result<(), Violation> {
        if self.healed {
            return Ok(());
        }
        let fault = self.scenario.faults[at].1;
        self.counts.faults += 1;
        self.trace.fold(at as u64);
        self.trace.say(self.now, || format!("fault: {fault:?}"));
        let until = |milliseconds: u64| self.now.plus(milliseconds * 1_000);
        match fault {
            Fault::CrashCoordinator(time) => self.crash_coordinator(time),
            Fault::TakeOver => {
                if self.coordinators.runs.len() == 1 {
                    self.start_coordinator()?;
                }
            }
            Fault::CrashAgent(agent, time) => self.crash_agent(agent, time),
            Fault::Sleep(agent, time) => self.agents[agent].asleep_until = until(time),
            Fault::CutAgent(agent, time) => self.network.cut(Peer::Agent(agent), until(time)),
            Fault::CutAnswers(agent, time) => self.network.cut_answers(agent, until(time)),
            Fault::CutClients(time) => self.network.cut(Peer::Clients, until(time)),
            Fault::CutAll(time) => self.network.cut_all(until(time)),
            Fault::SetAgentClock(agent, by) => self.agents[agent].clock.jump(self.now, by),
            Fault::SetClock(by) => self.coordinators.clock.jump(self.now, by),
            Fault::Stall(time) => self.coordinators.stalls_until = until(time),
            Fault::FailCommits(time) => self.coordinators.fails_until = until(time),
            Fault::FullDisk(time) => self.coordinators.full_until = until(time),
            Fault::FailHook(time) => self.coordinators.hook_fails_until = until(time),
        }
        Ok(())
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.trace.say(self.now, || "all is healed".to_owned());
        self.network.heal();
        self.scenario.store.failures = 0;
        self.scenario.store.rot = 0;
        for until in [
            &mut self.coordinators.stalls_until,
            &mut self.coordinators.fails_until,
            &mut self.coordinators.full_until,
            &mut self.coordinators.hook_fails_until,
        ] {
            *until = Moment(0);
        }
        // Who was taken over and has nothing to write would never know.
        let front = self.coordinators.front;
        let late = self.coordinators.runs.keys().copied();
        for instance in late.filter(|run| Some(*run) != front).collect::<Vec<_>>() {
            self.end_coordinator(instance);
        }
        for agent in &mut self.agents {
            agent.heal(self.now);
        }
        let at = self.ask_all_at();
        self.agenda.put(at, Event::AskAll);
    }
}
