//! A failure as Flight clients see it: the same words, and gRPC's code for its cause.

use crate::failure::{Cause, Failure};
use datafusion::arrow::error::ArrowError;
use tonic::{Code, Status};

/// The status of a failure.
pub(super) fn status(failure: &Failure) -> Status {
    let code = match failure.cause {
        Cause::Usage => Code::InvalidArgument,
        Cause::Unsupported => Code::Unimplemented,
        Cause::Refused => Code::PermissionDenied,
        Cause::Lost => Code::Unavailable,
        Cause::Aborted => Code::Aborted,
        Cause::Input => Code::FailedPrecondition,
        Cause::Interrupted => Code::Cancelled,
        Cause::Unexpected => Code::Internal,
    };
    let text = match &failure.remedy {
        Some(remedy) => format!("{failure} (help: {remedy})"),
        None => failure.to_string(),
    };
    Status::new(code, text)
}

/// The status of something that should not happen while encoding.
pub(super) fn encoding(error: ArrowError) -> Status {
    Status::internal(format!("encoding for Flight: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_the_codes_that_clients_tell_apart() {
        for (failure, code) in [
            (Failure::usage("x"), Code::InvalidArgument),
            (Failure::new(Cause::Unsupported, "x"), Code::Unimplemented),
            (Failure::refused("x"), Code::PermissionDenied),
            (Failure::lost("x"), Code::Unavailable),
            (Failure::aborted("x"), Code::Aborted),
            (Failure::input("x"), Code::FailedPrecondition),
            (Failure::new(Cause::Interrupted, "x"), Code::Cancelled),
        ] {
            assert_eq!(status(&failure).code(), code, "{:?}", failure.cause);
        }
        let helped = status(&Failure::usage("a\n b").with_remedy("do c"));
        assert_eq!(helped.message(), "a b (help: do c)");
    }
}
