//! Brotli (`br`), by the Rust port. Windows beyond RFC 7932 are not accepted, as Nix does not.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter as Parameter, BrotliEncoderStateStruct,
};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{Compress, Decompress, Fault, Sequence, Step};

/// The base-2 logarithm of the window, as Nix and the reference tool have it: 4 MiB.
const WINDOW_BITS: u32 = 22;

/// Writes one stream.
pub(crate) struct Encoder(BrotliEncoderStateStruct<StandardAlloc>);

impl Encoder {
    pub(crate) fn new(quality: u32) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        state.set_parameter(Parameter::BROTLI_PARAM_QUALITY, quality);
        state.set_parameter(Parameter::BROTLI_PARAM_LGWIN, WINDOW_BITS);
        Encoder(state)
    }

    fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        operation: BrotliEncoderOperation,
    ) -> Result<Step, Fault> {
        let (mut input_left, mut consumed) = (input.len(), 0);
        let (mut output_left, mut produced) = (output.len(), 0);
        let done = self.0.compress_stream(
            operation,
            &mut input_left,
            input,
            &mut consumed,
            &mut output_left,
            output,
            &mut produced,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !done {
            return Err(Fault::Data("the brotli encoder failed".to_owned()));
        }
        Ok(Step { consumed, produced, ended: self.0.is_finished() })
    }
}

impl Compress for Encoder {
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        self.step(input, output, BrotliEncoderOperation::BROTLI_OPERATION_PROCESS)
    }

    fn finish(&mut self, output: &mut [u8]) -> Result<Step, Fault> {
        self.step(&[], output, BrotliEncoderOperation::BROTLI_OPERATION_FINISH)
    }
}

/// Reads one stream.
pub(crate) struct Decoder(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>);

impl Decoder {
    pub(crate) fn new() -> Self {
        let allocate = StandardAlloc::default;
        Decoder(Box::new(BrotliState::new_strict(allocate(), allocate(), allocate())))
    }
}

impl Decompress for Decoder {
    fn sequence(&self) -> Sequence {
        Sequence::Single
    }

    fn restart(&mut self) -> Result<(), Fault> {
        *self = Decoder::new();
        Ok(())
    }

    fn run(&mut self, input: &[u8], output: &mut [u8], _last: bool) -> Result<Step, Fault> {
        let (mut input_left, mut consumed) = (input.len(), 0);
        let (mut output_left, mut produced) = (output.len(), 0);
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut consumed,
            input,
            &mut output_left,
            &mut produced,
            output,
            &mut 0,
            &mut self.0,
        );
        if let BrotliResult::ResultFailure = result {
            return Err(Fault::Data("invalid brotli stream".to_owned()));
        }
        Ok(Step { consumed, produced, ended: matches!(result, BrotliResult::ResultSuccess) })
    }
}
