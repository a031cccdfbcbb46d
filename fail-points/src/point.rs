//! All points.

/// The process that is at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// `grange-coordinator`.
    Coordinator,
    /// `grange-agent`.
    Agent,
    /// `grange`, as whoever rotates a key runs it.
    Operator,
}

macro_rules! points {
    ($($victim:ident: $($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+)+) => {
        /// A place in the code: just before or behind what must not be lost, or not be half done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $($($(#[doc = $doc])+ $point,)+)+
        }

        impl Point {
            /// All of them, by who is there.
            pub const ALL: &[Self] = &[$($(Self::$point,)+)+];

            /// What it is called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$point => $name,)+)+
                }
            }

            /// Which process is there.
            #[must_use]
            pub const fn victim(self) -> Victim {
                match self {
                    $($(Self::$point => Victim::$victim,)+)+
                }
            }
        }
    };
}

points! {
    Coordinator:
    /// A key's file is made, and empty.
    KeyMade = "key-made",
    /// The key has its name, and that under which it was written.
    KeyLinked = "key-linked",
    /// It has its name alone, which is not on the disk.
    KeyUnlinked = "key-unlinked",
    /// The secret key is on the disk; the public one is not written.
    KeySecretWritten = "key-secret-written",
    /// The database's file is made, and empty.
    DatabaseMade = "database-made",
    /// A step of the schema is written, and not committed.
    SchemaWritten = "schema-written",
    /// A step of the schema is committed.
    SchemaCommitted = "schema-committed",
    /// The directories of the artifacts are made, and not on the disk.
    ArtifactsMade = "artifacts-made",
    /// A new term is claimed; nothing is loaded.
    TermClaimed = "term-claimed",
    /// All is loaded; nobody is served.
    StateLoaded = "state-loaded",
    /// A transaction is written, and not committed.
    BatchWritten = "batch-written",
    /// A transaction is committed; nobody knows.
    BatchCommitted = "batch-committed",
    /// Who waits for a commit was told.
    BatchAnswered = "batch-answered",
    /// The write-ahead log is about to be moved into the database.
    CheckpointBegun = "checkpoint-begun",
    /// It was moved.
    CheckpointDone = "checkpoint-done",
    /// A call has come, and nothing is done for it.
    CallTaken = "call-taken",
    /// A call is done; its answer has not left.
    CallAnswered = "call-answered",
    /// The answer was handed to the connection.
    AnswerHanded = "answer-handed",
    /// Its bytes have left this process.
    AnswerSent = "answer-sent",
    /// Bytes of an upload have come, and are not written.
    PieceCame = "piece-came",
    /// They are written; nobody knows.
    PieceAppended = "piece-appended",
    /// An upload is about to be brought to the disk under its name.
    SealBegun = "seal-begun",
    /// It is on the disk, not yet under its name.
    UploadSynced = "upload-synced",
    /// It has its name, which is not on the disk.
    UploadRenamed = "upload-renamed",
    /// Its name is on the disk.
    BlobSealed = "blob-sealed",
    /// An upload that nobody wants is about to be deleted.
    UploadDiscarding = "upload-discarding",
    /// It is deleted.
    UploadDiscarded = "upload-discarded",
    /// A source is sealed; no record names it.
    SourceSealed = "source-sealed",
    /// All outputs of an attempt are verified; none is sealed.
    OutputsVerified = "outputs-verified",
    /// All are sealed; no record names them.
    OutputsSealed = "outputs-sealed",
    /// The log is sealed; no record names it.
    LogSealed = "log-sealed",
    /// The report is durable; the agent does not know.
    ReportTaken = "report-taken",
    /// What came of a fact is about to be committed with the hook's cursor.
    HookDelivered = "hook-delivered",
    /// A slice of outputs is about to be pruned.
    PruneBegun = "prune-begun",
    /// It is pruned; its blobs are there.
    PruneCommitted = "prune-committed",
    /// A blob that no record names is about to be deleted.
    BlobDoomed = "blob-doomed",
    /// It is deleted.
    BlobDeleted = "blob-deleted",
    /// A narinfo is about to be signed.
    NarinfoSigning = "narinfo-signing",
    /// It is signed, and not sent.
    NarinfoSigned = "narinfo-signed",
    /// The bytes of a page have left this process.
    PageSent = "page-sent",
    /// A nar that was compressed anew is on the disk, not under its name.
    NarBaked = "nar-baked",
    /// It has its name.
    NarShelved = "nar-shelved",

    Agent:
    /// The session is written, not under its name.
    SessionWritten = "session-written",
    /// It has its name.
    SessionRenamed = "session-renamed",
    /// The coordinator is about to be told what the agent does.
    ExchangeSending = "exchange-sending",
    /// The coordinator has answered.
    ExchangeAnswered = "exchange-answered",
    /// An attempt's directory is made.
    SpoolMade = "spool-made",
    /// The builder is about to run.
    BuildBegun = "build-begun",
    /// It has ended; nothing is spooled.
    BuildEnded = "build-ended",
    /// What a build said is in the log's file.
    LogAppended = "log-appended",
    /// What a build said is about to be sent.
    LogSending = "log-sending",
    /// The coordinator has it.
    LogSent = "log-sent",
    /// An output is compressed into its file.
    OutputSpooled = "output-spooled",
    /// The files of a result are on the disk; the result is not.
    FilesSynced = "files-synced",
    /// A result is written, and not synced.
    ResultFilled = "result-filled",
    /// It is synced if it has to be, and not under its name.
    ResultWritten = "result-written",
    /// It has its name.
    ResultRenamed = "result-renamed",
    /// Its name is on the disk.
    ResultSynced = "result-synced",
    /// A result that has to wait is made durable: its files are on the disk.
    WaitingFilesSynced = "waiting-files-synced",
    /// So is the result.
    WaitingResultSynced = "waiting-result-synced",
    /// So are their names.
    WaitingNamesSynced = "waiting-names-synced",
    /// The rest of an output is about to be sent.
    OutputSending = "output-sending",
    /// A piece of it was sent, and not the last one.
    OutputPieceSent = "output-piece-sent",
    /// The coordinator has all of it.
    OutputSent = "output-sent",
    /// The result is about to be reported.
    ReportSending = "report-sending",
    /// The coordinator has taken it.
    ReportAnswered = "report-answered",
    /// An attempt's directory is about to be deleted.
    SpoolDeleting = "spool-deleting",
    /// It is deleted.
    SpoolDeleted = "spool-deleted",
    /// An item has its place in the agent's store; it is not recorded.
    ItemPlaced = "item-placed",
    /// A record of an item is written, not under its name.
    RecordWritten = "record-written",
    /// The record of an item that goes is deleted; the item has its place.
    RecordDeleted = "record-deleted",
    /// The item was moved away, and is not deleted.
    ItemMoved = "item-moved",
    /// All of the store is on the disk; nothing says so.
    StoreSynced = "store-synced",
    /// What says so is written, and not synced.
    SettledWritten = "settled-written",
    /// It is synced, not under its name.
    SettledSynced = "settled-synced",
    /// It has its name, which is not on the disk.
    SettledRenamed = "settled-renamed",
    /// An item for a daemon has come to its end, and is about to be signed.
    ExportSigning = "export-signing",
    /// It is signed; the daemon does not have the signature.
    ExportSigned = "export-signed",

    Operator:
    /// The key that goes has its second name.
    KeyKept = "key-kept",
    /// A file of the next key has its place, which is not on the disk.
    KeyReplaced = "key-replaced",
}
