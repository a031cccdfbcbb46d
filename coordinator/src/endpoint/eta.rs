//! When builds will have ended.

use grange_coordinator_core::{BuildStatus, Eta};
use grange_interfaces::message::{Answer, EtaView, MAX_ETAS};
use grange_interfaces::{Fault, Refusal};
use grange_model::BuildId;

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::convert::path_text;

/// Of so many builds the core is asked at once: it does nothing else for so long.
const TOGETHER: usize = 20;

impl CoordinatorEndpoint {
    pub(super) async fn etas(&self, builds: Vec<BuildId>) -> Answered {
        if builds.len() > MAX_ETAS as usize {
            let message = format!("one message asks for at most {MAX_ETAS} builds");
            return Err(Refusal::new(Fault::Caller, message));
        }
        let mut views = Vec::new();
        for builds in builds.chunks(TOGETHER) {
            let asked = builds.to_vec();
            let etas = self.handle.observe(move |core| {
                let etas = core.etas(&asked);
                let builds = asked.iter().map(|id| core.build(*id));
                builds.zip(etas).collect::<Vec<_>>()
            });
            let etas = builds.iter().zip(etas.await?);
            views.extend(etas.map(|(build, (status, eta))| view(*build, status, eta)));
        }
        Ok((Answer::Etas(views), None))
    }
}

fn view(build: BuildId, status: Option<BuildStatus>, eta: Eta) -> EtaView {
    let path = |status: &BuildStatus| path_text(&status.store, &status.record.derivation);
    let milliseconds = |duration: std::time::Duration| u64::try_from(duration.as_millis()).ok();
    let mut view = EtaView {
        build,
        derivation: status.as_ref().map(path),
        state: status.as_ref().map(|status| status.state),
        p50_ms: None,
        p90_ms: None,
        reason: String::new(),
    };
    match eta {
        Eta::In { p50, p90, complete } => {
            view.p50_ms = milliseconds(p50);
            view.p90_ms = milliseconds(p90);
            if !complete {
                view.reason =
                    "it waits for so much that not all of it was looked at: it may take longer"
                        .to_owned();
            }
        }
        Eta::Never {
            derivation,
            missing,
        } => {
            let missing = missing.join("; ");
            view.reason = if Some(&derivation) == status.as_ref().map(|it| &it.record.derivation) {
                missing
            } else {
                format!("it waits for {}: {missing}", derivation.name)
            };
        }
        _ => view.reason = "it is not among the unfinished builds".to_owned(),
    }
    view
}
