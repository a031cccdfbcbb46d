//! What builds of packages have taken: told, and taken over from elsewhere.

use grange_coordinator_core::{Input, Prediction, Source};
use grange_interfaces::message::{Answer, MAX_PACKAGES, PackageHistory, PredictionView};
use grange_interfaces::{Fault, Refusal};

use super::dispatch::{Answered, CoordinatorEndpoint};

impl CoordinatorEndpoint {
    pub(super) async fn history(&self, after: Option<(String, String)>, limit: u32) -> Answered {
        let limit = limit.clamp(1, MAX_PACKAGES) as usize;
        let records = self.handle.observe(move |core| {
            let after = after.as_ref();
            let after = after.map(|(package, system)| (&**package, &**system));
            core.history(after).take(limit + 1).collect::<Vec<_>>()
        });
        let records = records.await?;
        let packages = records.iter().take(limit).map(PackageHistory::of);
        let answer = Answer::History {
            packages: packages.collect(),
            more: records.len() > limit,
        };
        Ok((answer, None))
    }

    pub(super) async fn import_history(&self, packages: Vec<PackageHistory>) -> Answered {
        if packages.len() > MAX_PACKAGES as usize {
            let message = format!("there may be {MAX_PACKAGES} packages in one message");
            return Err(Refusal::new(Fault::Caller, message));
        }
        let wrong = |package: &PackageHistory, error| {
            let PackageHistory {
                package, system, ..
            } = package;
            Refusal::new(Fault::Caller, format!("{package} on {system}: {error}"))
        };
        let records = packages.iter().map(|package| {
            let record = package.record();
            record.map_err(|error| wrong(package, error))
        });
        let records = records.collect::<Result<Vec<_>, _>>()?;
        self.handle
            .request(move |ticket| Input::ImportHistory { ticket, records })
            .await?;
        Ok((Answer::Done, None))
    }
}

pub(super) fn prediction(prediction: &Prediction) -> PredictionView {
    let source = match prediction.source {
        Source::Package => "package",
        Source::OtherSystems => "other-systems",
        Source::System => "system",
        Source::All => "all",
        Source::Config => "config",
    };
    PredictionView {
        duration_p50_ms: prediction.duration.p50,
        duration_p90_ms: prediction.duration.p90,
        memory_p90: prediction.memory.map(|memory| memory.p90),
        samples: prediction.samples,
        source: source.to_owned(),
    }
}
