//! Short names for everything.

use std::collections::BTreeMap;

use grange_coordinator_core::Capacity;
use grange_model::{
    AgentId, BlobId, BuildId, BuildSpec, DerivationRecord, Digest, InputRef, Item, ItemRecord,
    Limits, NarHash, OutputRef, SessionId, Tags,
};
use uuid::Uuid;

/// The digest that a short name stands for.
pub(crate) fn digest(name: &str) -> Digest {
    let mut bytes = [0; 20];
    assert!(name.len() <= 20, "{name} is too long");
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Digest(bytes)
}

pub(crate) fn item(name: &str) -> Item {
    Item {
        digest: digest(name),
        name: name.to_owned(),
    }
}

/// A derivation in the making: `drv("b").needs("a")`.
#[derive(Clone, Debug)]
pub(crate) struct Drv(pub(crate) DerivationRecord);

/// A derivation of that name with one output, `NAME:out`.
pub(crate) fn drv(name: &str) -> Drv {
    Drv(DerivationRecord {
        item: item(name),
        store: "/gnu/store".to_owned(),
        system: "x86_64-linux".to_owned(),
        outputs: vec![output(name, "out")],
        inputs: Vec::new(),
        sources: Vec::new(),
        hash: [0; 32],
        features: Vec::new(),
    })
}

fn output(derivation: &str, name: &str) -> OutputRef {
    OutputRef {
        name: name.to_owned(),
        item: item(&format!("{derivation}:{name}")),
    }
}

impl Drv {
    /// It needs the output `out` of another.
    pub(crate) fn needs(self, derivation: &str) -> Self {
        self.needs_output(derivation, &format!("{derivation}:out"))
    }

    pub(crate) fn needs_output(mut self, derivation: &str, output: &str) -> Self {
        self.0.inputs.push(InputRef {
            derivation: digest(derivation),
            output: digest(output),
        });
        self.0.inputs.sort();
        self
    }

    /// It has one more output.
    pub(crate) fn also(mut self, name: &str) -> Self {
        let derivation = self.0.item.name.clone();
        self.0.outputs.push(output(&derivation, name));
        self
    }

    /// Its only output is this item, as others may make it too.
    pub(crate) fn fixed(mut self, name: &str) -> Self {
        self.0.outputs = vec![OutputRef {
            name: "out".to_owned(),
            item: item(name),
        }];
        self
    }

    pub(crate) fn system(mut self, system: &str) -> Self {
        self.0.system = system.to_owned();
        self
    }

    pub(crate) fn feature(mut self, feature: &str) -> Self {
        self.0.features.push(feature.to_owned());
        self
    }
}

pub(crate) fn build_id(number: u128) -> BuildId {
    BuildId(Uuid::from_u128(number))
}

pub(crate) fn agent_id(number: u128) -> AgentId {
    AgentId(Uuid::from_u128(number))
}

pub(crate) fn session_id(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

pub(crate) fn tags(of: &[(&str, &str)]) -> Tags {
    let owned = of
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    owned.collect::<BTreeMap<_, _>>()
}

/// A request with nothing special about it.
pub(crate) fn spec(number: u128, derivation: &str) -> BuildSpec {
    BuildSpec {
        id: build_id(number),
        derivation: digest(derivation),
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        limits: Limits {
            timeout_ms: 1_000,
            max_silent_ms: 100,
        },
        again: false,
        inputs: true,
        cause: None,
        resources: grange_model::Resources::new(),
    }
}

/// An agent that runs so many builds at once.
pub(crate) fn capacity(parallel: u32) -> Capacity {
    Capacity {
        systems: vec!["x86_64-linux".to_owned()],
        tags: Tags::new(),
        exclusive: Vec::new(),
        parallel,
        ahead: 0,
        resources: grange_model::Resources::new(),
        admission: grange_coordinator_core::Admission::default(),
        speed: 0,
    }
}

/// What an agent sends of an output; `variant` tells builds apart that are not reproducible.
pub(crate) fn item_record(item: &Item, deriver: &Item, variant: u8) -> ItemRecord {
    ItemRecord {
        item: item.clone(),
        store: "/gnu/store".to_owned(),
        nar_hash: NarHash([variant; 32]),
        nar_size: 100,
        references: Vec::new(),
        deriver: Some(deriver.clone()),
        blob: BlobId([variant; 32]),
        blob_size: 50,
    }
}
