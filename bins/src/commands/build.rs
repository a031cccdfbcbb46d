//! `grange build`.

use grange_interfaces::message::Submission;
use grange_model::BuildId;
use serde_json::json;

use super::{log, show, submit, why};
use crate::cli::{BuildAction, BuildArgs, BuildOptions, Global, Target};
use crate::connect::connect;
use crate::failure::{self, Exit};
use crate::output::{Output, refusal_json};

pub(super) async fn run(global: &Global, args: BuildArgs, output: Output) -> anyhow::Result<Exit> {
    let Some(action) = args.action else {
        let files = files(args.targets)?;
        return submit::run(global, &files, &args.options, output).await;
    };
    if args.options != BuildOptions::default() {
        return Err(failure::usage(
            "the options of `grange build DRV` are not for a build that is there already",
        ));
    }
    let build = match args.targets.as_slice() {
        [Target::Build(build)] => *build,
        [Target::File(file)] => {
            return Err(failure::usage(format!(
                "`{}` is not the UUID of a build",
                file.display()
            )));
        }
        _ => return Err(failure::usage("name one build")),
    };
    let (client, _) = connect(global).await?;
    match action {
        BuildAction::Show => show::build(&client, build, output).await?,
        BuildAction::Why => why::build(&client, build, output).await?,
        BuildAction::Log { follow, offset } => {
            log::print(&client, build, offset, follow, output).await?
        }
        BuildAction::Cancel => cancel(&client, build, output).await?,
    }
    Ok(Exit::Done)
}

fn files(targets: Vec<Target>) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let file = |target| match target {
        Target::File(file) => Ok(file),
        Target::Build(build) => Err(failure::usage(format!(
            "what shall be done with build {build}? Write `grange build {build} show`, `why`, `log` or `cancel`"
        ))),
    };
    targets.into_iter().map(file).collect()
}

async fn cancel(
    client: &grange_coordinator::client::Client,
    build: BuildId,
    output: Output,
) -> anyhow::Result<()> {
    for answer in client.cancel(vec![build]).await? {
        match answer {
            Submission::Accepted { state, warnings } => {
                let value = json!({ "id": build, "state": state, "warnings": warnings });
                output.value(&value, |_| format!("{build} {}", state.as_str()))?;
            }
            Submission::Refused(refusal) => {
                if output.is_json() {
                    output.value(
                        &json!({ "id": build, "refused": refusal_json(&refusal) }),
                        |_| String::new(),
                    )?;
                }
                return Err(refusal.into());
            }
            _ => anyhow::bail!("the coordinator's answer is of a newer version"),
        }
    }
    Ok(())
}
