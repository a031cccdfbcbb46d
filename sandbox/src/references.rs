//! Whether outputs refer to what they may.

use std::collections::{BTreeMap, BTreeSet};

use grange_derivation::{Derivation, Dialect, Options, Reference, StorePath};
use grange_interfaces::BuildError;
use grange_model::FailureKind;

use crate::dialect;
use crate::output::{Finished, failed};
use crate::store::SandboxStore;

/// Checks `allowedReferences` and its kin. As in both daemons, the requisites of an output are the closures of what it
/// refers to, without itself.
pub(crate) fn check(
    derivation: &Derivation,
    dialect: Dialect,
    options: &Options<'_>,
    outputs: &[Finished],
    store: &SandboxStore,
) -> Result<(), BuildError> {
    let resolve = |list: &[Reference]| -> BTreeSet<StorePath> {
        let path = |reference: &Reference| match reference {
            Reference::Path(path) => Some(path.clone()),
            Reference::Output(name) => derivation
                .outputs
                .get(name)
                .map(|output| output.path.clone()),
        };
        list.iter().filter_map(path).collect()
    };
    for output in outputs {
        let info = &output.item.info;
        if derivation.fixed_output().is_some()
            && !dialect::fixed_outputs_may_refer(dialect)
            && let Some(reference) = info.references.first()
        {
            return Err(forbidden(
                &info.path,
                reference,
                "its content is fixed, so it cannot refer to anything",
            ));
        }
        let direct: BTreeSet<_> = info.references.iter().cloned().collect();
        let requisites = requisites(&info.path, outputs, store);
        let lists = [
            (
                options.allowed_references.as_deref(),
                true,
                &direct,
                "allowedReferences",
            ),
            (
                options.allowed_requisites.as_deref(),
                true,
                &requisites,
                "allowedRequisites",
            ),
            (
                Some(options.disallowed_references.as_slice()),
                false,
                &direct,
                "disallowedReferences",
            ),
            (
                Some(options.disallowed_requisites.as_slice()),
                false,
                &requisites,
                "disallowedRequisites",
            ),
        ];
        for (list, allowed, used, variable) in lists {
            let Some(list) = list.map(resolve) else {
                continue;
            };
            if let Some(reference) = used.iter().find(|path| list.contains(*path) != allowed) {
                return Err(forbidden(&info.path, reference, variable));
            }
        }
    }
    Ok(())
}

/// What an output needs, itself excepted.
fn requisites(
    output: &StorePath,
    outputs: &[Finished],
    store: &SandboxStore,
) -> BTreeSet<StorePath> {
    let made: BTreeMap<_, _> = outputs
        .iter()
        .map(|it| (&it.item.info.path, &it.item.info.references))
        .collect();
    let mut seen = BTreeSet::new();
    let mut next = made.get(output).map(|it| it.to_vec()).unwrap_or_default();
    while let Some(path) = next.pop() {
        if path == *output || !seen.insert(path.clone()) {
            continue;
        }
        match made.get(&path) {
            Some(references) => next.extend(references.iter().cloned()),
            None => next.extend(
                store
                    .info(&path)
                    .map(|info| info.references)
                    .unwrap_or_default(),
            ),
        }
    }
    seen
}

fn forbidden(output: &StorePath, reference: &StorePath, why: &str) -> BuildError {
    failed(
        FailureKind::ForbiddenReference,
        format!("{output} may not refer to {reference}: {why}"),
    )
}
