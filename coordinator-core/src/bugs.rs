//! Bugs of this field, put back one at a time so that the simulator can show that it finds them.
//!
//! Compiled only with `RUSTFLAGS='--cfg grange_bugs'`; `cargo xtask sim --bugs` does it.

/// Which bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A build that was given to an agent stays among those that may be given away.
    TwoAgents,
    /// A report counts for whatever holds the attempt's place now.
    LateReport,
    /// Of a second attempt's outputs, all but the first replace what is there.
    MixedOutputs,
    /// What an output's users are to hear is dropped if they are just hearing of something else.
    LostWakeUp,
    /// A refusal does not wait for the commit that holds its cause.
    EarlyRefusal,
    /// A hook's cursor is written before what it asks for.
    SkippedFact,
    /// A derivation keeps the priority that it got from what needs it.
    StickyPriority,
    /// An output is named with the hash that the agent says. This one is in the simulated shell.
    UnverifiedUpload,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::TwoAgents,
        Self::LateReport,
        Self::MixedOutputs,
        Self::LostWakeUp,
        Self::EarlyRefusal,
        Self::SkippedFact,
        Self::StickyPriority,
        Self::UnverifiedUpload,
    ];
}
