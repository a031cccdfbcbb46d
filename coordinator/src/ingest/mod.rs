//! What others send, verified before the core hears of it: bytes first, then the name.

mod closure;
mod derivations;
mod items;
mod log;
mod output;
mod stream;
mod uploads;

pub(crate) use closure::{closure_of_inputs, closure_of_items, torn};
pub(crate) use derivations::{Verifier, put_derivations, store_records};
pub(crate) use items::put_items;
pub(crate) use log::{append_log, check_log, log_offset, log_upload, seal_log};
pub(crate) use output::{Rejected, verify_outputs};
pub(crate) use stream::BodyWriter;
pub(crate) use uploads::{
    append_upload, attempt_of_log, attempt_of_output, discard_dropped, discard_outputs,
    discard_void_uploads, held, remembered, upload_offset,
};
