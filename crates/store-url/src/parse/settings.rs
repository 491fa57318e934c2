//! Settings: which of them count, what their values are, and whether they fit together.

use nars3_narinfo::Compression;

use super::reference::{Parameter, Reference};
use crate::error::{Problem, StoreUrlError};
use crate::http_url::Scheme;
use crate::s3::AddressingError;
use crate::setting::{self, Setting, StoreType};
use crate::store_url::{StoreKind, StoreUrl};
use crate::text;
use crate::warning::Warning;

/// The content encodings that curl decodes, and with it Nix since 2.34.
const READABLE: [Compression; 4] =
    [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Brotli];

/// Reads the settings of a kind of store into `url`.
pub(crate) fn apply_settings(
    url: &mut StoreUrl,
    store: StoreType,
    reference: &Reference<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(), StoreUrlError> {
    let mut chosen = choose(store, reference, warnings);
    // The table's order, not the URL's: `secret-key` goes before `secret-keys`.
    chosen.sort_by_key(|(setting, _)| setting::settings_table().position(|row| row.name == setting.name));
    let mut first_error: Option<StoreUrlError> = None;
    for (setting, parameter) in chosen {
        let Err(error) = read(url, setting, parameter) else { continue };
        if first_error.as_ref().is_none_or(|first| error.at < first.at) {
            first_error = Some(error);
        }
    }
    match first_error {
        Some(error) => Err(error),
        None => check(url, reference, warnings),
    }
}

/// Unknown settings of one URL for which the nearest known name is looked for.
const MOST_SUGGESTIONS: usize = 20;

/// The settings that count, as Nix counts them: the first of a name, and the new name before the old one.
fn choose<'p, 'a>(
    store: StoreType,
    reference: &'p Reference<'a>,
    warnings: &mut Vec<Warning>,
) -> Vec<(&'static Setting, &'p Parameter<'a>)> {
    let mut chosen: Vec<(&'static Setting, &Parameter<'_>)> = Vec::new();
    let mut suggestions = MOST_SUGGESTIONS;
    for parameter in &reference.parameters {
        let at = parameter.at;
        let Some(setting) = setting::find(&parameter.name) else {
            // Somebody who wrote more wrong names than this did not mistype them, and each costs a walk through all names.
            let nearest = (suggestions > 0).then(|| setting::nearest_name(&parameter.name, store)).flatten();
            suggestions = suggestions.saturating_sub(1);
            // `?dG9rZW4=` and `?dG9rZQ==` are perhaps no names but tokens.
            let is_name = nearest.is_some() || !parameter.value.trim_start_matches('=').is_empty();
            let name = if is_name { text::quotable(&parameter.name) } else { text::REDACTED.to_owned() };
            warnings.push(Warning::UnknownSetting { at, name, nearest });
            continue;
        };
        if !setting.applies_to(store) {
            let stores = setting.stores.iter().map(|store| store.as_str()).collect::<Vec<_>>().join(", ");
            warnings.push(Warning::NotForThisStore { at, name: setting.name, stores });
            continue;
        }
        let Some((_, earlier)) = chosen.iter_mut().find(|(other, _)| other.name == setting.name) else {
            chosen.push((setting, parameter));
            continue;
        };
        if earlier.name == parameter.name {
            warnings.push(Warning::Duplicate { at, name: setting.name });
            continue;
        }
        let old =
            if parameter.name == setting.name { std::mem::replace(earlier, parameter) } else { parameter };
        let alias = setting.aliases.iter().copied().find(|alias| *alias == old.name).unwrap_or_default();
        warnings.push(Warning::OldNameIgnored { at: old.at, alias, name: setting.name });
    }
    chosen
}

fn read(url: &mut StoreUrl, setting: &Setting, parameter: &Parameter<'_>) -> Result<(), StoreUrlError> {
    let hide = |error: StoreUrlError| {
        if setting.sensitive { StoreUrlError::unquoted(error.at, error.problem) } else { error }
    };
    let value = text::decode(parameter.value, parameter.value_at).map_err(hide)?;
    (setting.slot.read)(url, &value, setting).map_err(|problem| {
        let problem = Problem::Setting { name: setting.name, problem };
        hide(StoreUrlError::new(parameter.value_at, parameter.value, problem))
    })
}

/// What no setting can see alone.
fn check(
    url: &StoreUrl,
    reference: &Reference<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(), StoreUrlError> {
    let encodings = [
        ("narinfo-compression", &url.cache.narinfo_compression),
        ("ls-compression", &url.cache.ls_compression),
        ("log-compression", &url.cache.log_compression),
    ];
    for (name, compression) in encodings {
        if let Some(compression) = compression.as_ref().filter(|method| !READABLE.contains(method)) {
            warnings.push(Warning::UnreadableEncoding { name, compression: compression.clone() });
        }
    }
    match &url.kind {
        StoreKind::S3(s3) => {
            let address = s3.bucket_address().map_err(|error| addressing_error(error, reference))?;
            if address.fell_back_to_path {
                warnings.push(Warning::DottedBucket { bucket: s3.bucket.clone() });
            }
            let chunk_size = s3.multipart_chunk_size.unwrap_or(LEAST_PART);
            if let Some(threshold) = s3.multipart_threshold
                && s3.multipart_upload == Some(true)
                && threshold < chunk_size
            {
                warnings.push(Warning::ThresholdBelowChunkSize { threshold, chunk_size });
            }
        }
        StoreKind::Http(http) if http.url.scheme == Scheme::Http && http.url.credentials().is_some() => {
            warnings.push(Warning::UnencryptedCredentials);
        }
        _ => {}
    }
    Ok(())
}

/// The least size of a part in S3, in bytes, the last one excepted; also Nix's default.
const LEAST_PART: u64 = 5 << 20;

/// Points at the setting that made the bucket impossible to address.
fn addressing_error(error: AddressingError, reference: &Reference<'_>) -> StoreUrlError {
    let candidates: &[&str] = match &error {
        AddressingError::DottedBucket { .. } => &["addressing-style", "accelerate"],
        AddressingError::AddressWithVirtualStyle { .. } => &["endpoint"],
        AddressingError::RegionInHost { .. } | AddressingError::RegionInSignature { .. } => &["region"],
        AddressingError::AccelerateWithPathStyle | AddressingError::AccelerateWithFips => &["accelerate"],
        AddressingError::AwsSettingWithEndpoint { setting } => &[setting],
    };
    let at = |name: &&str| reference.parameters.iter().find(|parameter| parameter.name == **name);
    let about_the_value =
        matches!(error, AddressingError::RegionInHost { .. } | AddressingError::RegionInSignature { .. });
    match candidates.iter().find_map(at) {
        Some(parameter) if about_the_value => {
            StoreUrlError::new(parameter.value_at, parameter.value, error.into())
        }
        Some(parameter) => StoreUrlError::new(parameter.at, &parameter.name, error.into()),
        None => StoreUrlError::new(0, reference.base_text, error.into()),
    }
}
