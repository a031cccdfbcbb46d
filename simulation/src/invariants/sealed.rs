//! What a record names lies on the disk, sealed, with the hash, the size and the references that the record says.
//!
//! Counter-example: a cosmic ray, or an agent that lies, makes an output that is not what was
//! announced. If its name were written before somebody looked, every farm that fetches it would have
//! it, signed by us.

use grange_model::{Change, Record};

use super::invariant::{Commit, Invariant, Look, hold};

#[derive(Debug)]
pub(super) struct Sealed;

impl Invariant for Sealed {
    fn name(&self) -> &'static str {
        "sealed"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            let Change::Put(Record::Item(item)) = change else {
                continue;
            };
            let name = &item.item.name;
            let content = look.disk.blob(item.blob);
            let content = content.ok_or_else(|| format!("{name} is named and not sealed"))?;
            hold(content.nar_hash() == item.nar_hash, || {
                format!("{name} is not what its record says")
            })?;
            hold(content.size() == item.nar_size, || {
                format!("{name} has another size than its record says")
            })?;
            let deriver = item.deriver.as_ref();
            let derivation = deriver.and_then(|it| look.store.derivation(it.digest));
            let inputs = derivation.into_iter().flat_map(|it| &it.inputs);
            let right = content.references(inputs.map(|input| input.output));
            let said = item.references.iter().map(|item| item.digest);
            hold(said.eq(right), || {
                format!("{name} refers to others than its record says")
            })?;
        }
        Ok(())
    }
}
