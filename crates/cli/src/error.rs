//! What a person reads when something fails, and the exit code that a script reads.

use std::fmt;
use std::process::ExitCode;

use crate::output::OutputClosed;

/// Exit code of a copy that went on after failures.
const PARTIAL: u8 = 3;

/// An error on its way to the person: what failed, why, and what to do next.
#[derive(Debug)]
pub(crate) struct CliError {
    error: anyhow::Error,
    hints: Vec<String>,
    code: ExitCode,
}

pub(crate) type CliResult<T = ()> = Result<T, CliError>;

impl CliError {
    pub(crate) fn new(message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        anyhow::Error::msg(message).into()
    }

    /// Adds what to do next: a sentence without a full stop.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn partial(self) -> Self {
        self.with_code(ExitCode::from(PARTIAL))
    }

    #[must_use]
    pub(crate) fn with_code(mut self, code: ExitCode) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code
    }

    /// Nobody reads our output any more (`nars3 … | head`): not worth a word. Other broken pipes are failures.
    pub(crate) fn is_closed_output(&self) -> bool {
        self.error.chain().any(|cause| {
            let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<OutputClosed>)
        })
    }
}

impl<E> From<E> for CliError
where
    E: Into<anyhow::Error>,
{
    fn from(error: E) -> Self {
        Self { error: error.into(), hints: Vec::new(), code: ExitCode::FAILURE }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.error)?;
        let mut last = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            // S3's own words say it better than the chain of HTTP errors below them.
            if let Some(s3) = crate::hints::s3_error(cause) {
                write!(formatter, "\n  because: {s3}")?;
                break;
            }
            let text = cause.to_string();
            // Some libraries repeat their cause in their own message.
            if !last.ends_with(&text) {
                write!(formatter, "\n  because: {text}")?;
            }
            last = text;
        }
        let known = [
            crate::hints::of_s3(&self.error),
            crate::hints::of_cache(&self.error),
            crate::hints::of_local(&self.error),
        ];
        for hint in self.hints.iter().chain(known.iter().flatten()) {
            write!(formatter, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Adds context and hints to results on their way up.
pub(crate) trait ResultExt<T> {
    fn context(self, context: impl FnOnce() -> String) -> CliResult<T>;
    fn hint(self, hint: impl FnOnce() -> String) -> CliResult<T>;
}

impl<T, E: Into<CliError>> ResultExt<T> for Result<T, E> {
    fn context(self, context: impl FnOnce() -> String) -> CliResult<T> {
        self.map_err(|error| {
            let error: CliError = error.into();
            CliError { error: error.error.context(context()), hints: error.hints, code: error.code }
        })
    }

    fn hint(self, hint: impl FnOnce() -> String) -> CliResult<T> {
        self.map_err(|error| error.into().hint(hint()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_hints_follow_the_message_and_repetitions_do_not() {
        let error: CliResult = Err(std::io::Error::other("disk on fire"))
            .context(|| "cannot read the key".to_owned())
            .hint(|| "buy a new disk".to_owned());
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "cannot read the key\n  because: disk on fire\n  hint: buy a new disk");
        let repeated = CliError::from(anyhow::anyhow!("no").context("cannot: no"));
        assert_eq!(repeated.to_string(), "cannot: no");
    }
}
