//! Where keys come from: files, the environment, systemd's credentials, Nix's settings.

use std::path::Path;

use nars3_store_path::{PublicKey, PublicKeys, SecretKey};

use super::{Environment, NixSettings};
use crate::error::{CliError, CliResult, ResultExt};

/// The name under which systemd (`LoadCredential=`) may hand over the secret key.
const CREDENTIAL: &str = "nars3-secret-key";

/// The keys that sign what is written to a cache. `files` are those that the command line or the store URL names;
/// only without any does the environment count, in this order: `NARS3_SECRET_KEY`, `NARS3_SECRET_KEY_FILE`,
/// `$CREDENTIALS_DIRECTORY/nars3-secret-key`, and last Nix's `secret-key-files`.
pub(crate) fn secret_keys<'a>(
    files: impl IntoIterator<Item = &'a Path>,
    environment: &Environment,
    settings: &NixSettings,
) -> CliResult<Vec<SecretKey>> {
    let keys = files.into_iter().map(read_secret_key).collect::<CliResult<Vec<_>>>()?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    if let Some(text) = environment.get("NARS3_SECRET_KEY") {
        let key =
            parse_secret_key(text).context(|| "cannot use the secret key in NARS3_SECRET_KEY".to_owned())?;
        return Ok(vec![key]);
    }
    if let Some(file) = environment.path("NARS3_SECRET_KEY_FILE") {
        return Ok(vec![read_secret_key(&file)?]);
    }
    if let Some(directory) = environment.path("CREDENTIALS_DIRECTORY") {
        let file = directory.join(CREDENTIAL);
        if file.exists() {
            return Ok(vec![read_secret_key(&file)?]);
        }
    }
    settings.list("secret-key-files").into_iter().map(|file| read_secret_key(Path::new(file))).collect()
}

fn read_secret_key(file: &Path) -> CliResult<SecretKey> {
    let text = std::fs::read_to_string(file)
        .context(|| format!("cannot read the secret key file '{}'", file.display()))?;
    parse_secret_key(&text).context(|| format!("cannot use the secret key file '{}'", file.display()))
}

fn parse_secret_key(text: &str) -> CliResult<SecretKey> {
    SecretKey::parse(text.trim()).map_err(CliError::from).hint(|| {
        "a secret key is one line, NAME:BASE64, as 'nars3 key generate-secret --key-name NAME' prints it"
            .to_owned()
    })
}

/// The keys whose signatures admit a path to a store of this machine: `trusted_public_keys`. `None` if Nix's `require-sigs` is
/// false, and neither the command line nor `NARS3_TRUSTED_PUBLIC_KEYS` names any.
pub(crate) fn required_public_keys(
    arguments: &[String],
    environment: &Environment,
    settings: &NixSettings,
) -> CliResult<Option<PublicKeys>> {
    let named = !arguments.is_empty() || environment.get("NARS3_TRUSTED_PUBLIC_KEYS").is_some();
    if !named && settings.flag("require-sigs")? == Some(false) {
        return Ok(None);
    }
    trusted_public_keys(arguments, environment, settings).map(Some)
}

/// The keys that are trusted: those on the command line, else those in `NARS3_TRUSTED_PUBLIC_KEYS`, else Nix's
/// `trusted-public-keys` and what this machine signs itself.
pub(crate) fn trusted_public_keys(
    arguments: &[String],
    environment: &Environment,
    settings: &NixSettings,
) -> CliResult<PublicKeys> {
    let mut from_nix = false;
    let words: Vec<&str> = if !arguments.is_empty() {
        arguments.iter().flat_map(|argument| argument.split_whitespace()).collect()
    } else if let Some(list) = environment.get("NARS3_TRUSTED_PUBLIC_KEYS") {
        list.split_whitespace().collect()
    } else {
        from_nix = true;
        settings.list("trusted-public-keys")
    };
    let keys = words.into_iter().map(|word| word.parse::<PublicKey>().map_err(|_| not_a_public_key(word)));
    let keys = keys.collect::<CliResult<Vec<PublicKey>>>()?;
    let own = if from_nix { own_public_keys(settings) } else { Vec::new() };
    Ok(keys.into_iter().chain(own).collect())
}

/// What this machine signs itself, it trusts: the public halves of Nix's `secret-key-files`, as far as they can be read
/// (Nix 2.29 `keys.cc`; a user who is not root mostly cannot).
fn own_public_keys(settings: &NixSettings) -> Vec<PublicKey> {
    let files = settings.list("secret-key-files").into_iter();
    files.filter_map(|file| Some(read_secret_key(Path::new(file)).ok()?.public_key())).collect()
}

/// The bytes of a secret key in base64; a public key has half as many.
const SECRET_KEY_DIGITS: usize = 88;

fn not_a_public_key(word: &str) -> CliError {
    // Without a name in front, it may be the bare digits of any key.
    let (name, digits) = word.split_once(':').unwrap_or((word.get(..12).unwrap_or(word), ""));
    let error = CliError::new(format!("what is given as the public key '{name}' is none"));
    if digits.len() >= SECRET_KEY_DIGITS {
        return error.hint(
            "it looks like a secret key, which must not stand on a command line: make a new one, and give its public \
             half, which 'nars3 key convert-secret-to-public' prints",
        );
    }
    error.hint("a public key is NAME:BASE64, as 'nars3 key convert-secret-to-public' prints it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(name: &str) -> String {
        SecretKey::from_seed(name, [3; 32]).unwrap().to_secret_string().to_string()
    }

    #[test]
    fn a_named_file_wins_over_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, format!("{}\n", text_of("file-1"))).unwrap();
        let environment = Environment::from([("NARS3_SECRET_KEY", text_of("environment-1").as_str())]);
        let settings = NixSettings::default();
        let keys = secret_keys([file.as_path()], &environment, &settings).unwrap();
        assert_eq!(keys.iter().map(SecretKey::name).collect::<Vec<_>>(), ["file-1"]);
        let keys = secret_keys([], &environment, &settings).unwrap();
        assert_eq!(keys.iter().map(SecretKey::name).collect::<Vec<_>>(), ["environment-1"]);
    }

    #[test]
    fn systemd_hands_over_a_key() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(CREDENTIAL), text_of("systemd-1")).unwrap();
        let environment = Environment::from([("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap())]);
        let keys = secret_keys([], &environment, &NixSettings::default()).unwrap();
        assert_eq!(keys.iter().map(SecretKey::name).collect::<Vec<_>>(), ["systemd-1"]);
    }

    #[test]
    fn a_bad_secret_key_is_not_shown() {
        let environment = Environment::from([("NARS3_SECRET_KEY", "name:notbase64secret!")]);
        let error = secret_keys([], &environment, &NixSettings::default()).unwrap_err().to_string();
        assert!(error.contains("NARS3_SECRET_KEY") && !error.contains("notbase64secret"), "{error}");
    }

    #[test]
    fn trusted_keys_come_from_the_most_explicit_place() {
        let key = SecretKey::from_seed("mine-1", [3; 32]).unwrap().public_key().to_string();
        let environment = Environment::default();
        let settings = NixSettings::default();
        let keys = trusted_public_keys(&[key], &environment, &settings).unwrap();
        assert_eq!(keys.iter().count(), 1);
        let keys = trusted_public_keys(&[], &environment, &settings).unwrap();
        assert_eq!(keys.iter().count(), 1, "Nix's default");
        let error = trusted_public_keys(&["nonsense".into()], &environment, &settings).unwrap_err();
        assert!(error.to_string().contains("nonsense"));
    }

    #[test]
    fn nixs_settings_may_require_no_signatures_and_trust_the_same_keys() {
        let environment =
            Environment::from([("NIX_CONFIG", "require-sigs = false"), ("NIX_CONF_DIR", "/absent")]);
        let settings = crate::settings::load_nix_settings(&environment).unwrap();
        assert!(required_public_keys(&[], &environment, &settings).unwrap().is_none());
        assert_eq!(trusted_public_keys(&[], &environment, &settings).unwrap().iter().count(), 1);
        let key = SecretKey::from_seed("mine-1", [3; 32]).unwrap().public_key().to_string();
        assert!(required_public_keys(&[key], &environment, &settings).unwrap().is_some());
    }

    #[test]
    fn what_this_machine_signs_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, text_of("own-1")).unwrap();
        let configuration = format!("secret-key-files = /absent {}", file.display());
        let directory = directory.path().to_str().unwrap();
        let environment = Environment::from([
            ("NIX_CONF_DIR", directory),
            ("NIX_USER_CONF_FILES", ""),
            ("NIX_CONFIG", configuration.as_str()),
        ]);
        let settings = crate::settings::load_nix_settings(&environment).unwrap();
        let keys = trusted_public_keys(&[], &environment, &settings).unwrap();
        assert_eq!(keys.iter().count(), 2);
        let explicit = SecretKey::from_seed("mine-1", [3; 32]).unwrap().public_key().to_string();
        let keys = trusted_public_keys(&[explicit], &environment, &settings).unwrap();
        assert_eq!(keys.iter().count(), 1, "who names keys means those");
    }

    #[test]
    fn a_secret_key_in_place_of_a_public_one_is_not_shown() {
        let secret = text_of("mine-1");
        let digits = secret.split_once(':').unwrap().1.to_owned();
        let (environment, settings) = (Environment::default(), NixSettings::default());
        let error = trusted_public_keys(&[secret], &environment, &settings).unwrap_err().to_string();
        assert!(error.contains("mine-1") && error.contains("secret") && !error.contains(&digits), "{error}");
    }
}
