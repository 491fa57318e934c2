//! Reading zstd, frame after frame, with a bounded window. (Writing has a module of its own: `encode::frames`.)

use zstd::stream::raw::{DParameter, Decoder as Raw, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;

use super::{Decompress, Fault, Sequence, Step};

/// Windows of this base-2 logarithm and less are always accepted: frames of 16 MiB, as written here, have one of 24.
const MIN_WINDOW_LOG: u32 = 24;
/// zstd's own upper bound for windows.
const MAX_WINDOW_LOG: u32 = 31;

/// Reads frames.
pub(crate) struct Decoder(Raw<'static>);

impl Decoder {
    /// A decoder that refuses windows larger than the memory limit (in bytes).
    pub(crate) fn new(memory_limit: u64) -> Result<Self, Fault> {
        let mut raw = Raw::new().map_err(fault)?;
        raw.set_parameter(DParameter::WindowLogMax(window_log(memory_limit))).map_err(fault)?;
        Ok(Decoder(raw))
    }
}

/// The largest window that fits the limit.
fn window_log(memory_limit: u64) -> u32 {
    // The decoder needs a little more than the window; half of the limit is the next smaller power of two.
    (memory_limit / 2).checked_ilog2().unwrap_or(0).clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG)
}

#[expect(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn fault(error: std::io::Error) -> Fault {
    let too_large = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<zstd::Error>())
        .is_some_and(|code| code.is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge));
    if too_large { Fault::Memory } else { Fault::Data(error.to_string()) }
}

impl Decompress for Decoder {
    fn sequence(&self) -> Sequence {
        Sequence::Concatenated
    }

    fn restart(&mut self) -> Result<(), Fault> {
        self.0.reinit().map_err(fault)
    }

    fn run(&mut self, input: &[u8], output: &mut [u8], _last: bool) -> Result<Step, Fault> {
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around(output);
        let hint = self.0.run(&mut source, &mut target).map_err(fault)?;
        let (consumed, produced) = (source.pos(), target.pos());
        // Before the first byte of a frame zstd also says 0.
        Ok(Step { consumed, produced, ended: hint == 0 && (consumed > 0 || produced > 0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limit_admits_every_level_of_the_command_line_tool() {
        // `zstd --ultra -22` has a window of 128 MiB.
        assert_eq!(window_log(crate::DEFAULT_MEMORY_LIMIT), 27);
    }

    #[test]
    fn the_smallest_limit_still_reads_what_is_written_here() {
        assert_eq!(window_log(0), 24);
        assert_eq!(window_log(u64::MAX), 31);
    }
}
