//! `nars3 key …`.

use std::io::Read;

use nars3_store_path::SecretKey;
use zeroize::Zeroizing;

use crate::args::{KeyArgs, KeyCommand};
use crate::error::{CliError, CliResult, ResultExt};
use crate::output::print_line;

/// No key is longer; standard input may be anything.
const MAX_KEY_BYTES: u64 = 4096;

pub(crate) fn run(args: KeyArgs) -> CliResult {
    match args.command {
        KeyCommand::GenerateSecret { key_name } => generate_secret(&key_name),
        KeyCommand::ConvertSecretToPublic => convert_secret_to_public(),
    }
}

fn generate_secret(name: &str) -> CliResult {
    if name.contains(char::is_whitespace) {
        return Err(CliError::new(format!("cannot name a key '{name}'")).hint(
            "trusted-public-keys separates keys by spaces, so a name with one could never be trusted",
        ));
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice())
        .map_err(|error| CliError::new(format!("the system gives no random numbers: {error}")))?;
    let key = SecretKey::from_seed(name, *seed).context(|| format!("cannot name a key '{name}'"))?;
    print_line(key.to_secret_string().as_str())
}

fn convert_secret_to_public() -> CliResult {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(MAX_KEY_BYTES)
        .read_to_string(&mut text)
        .context(|| "cannot read a secret key from standard input".to_owned())?;
    let key = SecretKey::parse(text.trim())
        .context(|| "standard input is not a secret key".to_owned())
        .hint(|| "'nars3 key generate-secret --key-name NAME' prints one".to_owned())?;
    print_line(key.public_key())
}
