//! How a value is read from a URL and written back, per type of field.

use std::path::PathBuf;
use std::time::Duration;

use nars3_narinfo::Compression;
use nars3_store_path::StoreDir;

use super::{Range, Setting, Unit};
use crate::authority::is_name_char;
use crate::error::ValueProblem;
use crate::http_url::Scheme;
use crate::nearest;
use crate::s3::{AddressingStyle, Endpoint, S3Client, ServerSideEncryption};
use crate::text;

/// A type that settings have.
pub(crate) trait Field: Sized {
    /// Reads a percent-decoded value.
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem>;

    /// The value as `read` takes it; `None` if it is none.
    fn show(&self, setting: &Setting) -> Option<String>;
}

/// For a type whose empty value means "not set", as Nix reads its optional settings.
macro_rules! optional {
    ($($type:ty),+ $(,)?) => {$(
        impl Field for Option<$type> {
            fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
                if text.is_empty() { Ok(None) } else { <$type>::read(text, setting).map(Some) }
            }

            fn show(&self, setting: &Setting) -> Option<String> {
                self.as_ref().and_then(|value| value.show(setting))
            }
        }
    )+};
}

optional!(bool, i64, u64, String, PathBuf, Endpoint, Compression, S3Client, ServerSideEncryption);

impl Field for bool {
    fn read(text: &str, _: &Setting) -> Result<Self, ValueProblem> {
        match text {
            "true" | "yes" | "1" => Ok(true),
            "false" | "no" | "0" => Ok(false),
            _ => Err(ValueProblem::NotBoolean),
        }
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.to_string())
    }
}

/// Reads a whole number with an optional unit letter (Nix's `string2IntWithUnitPrefix`) within the setting's range.
fn read_integer<N: TryFrom<i128>>(text: &str, setting: &Setting) -> Result<N, ValueProblem> {
    let shift = match text.bytes().last().map(|byte| byte.to_ascii_uppercase()) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        _ => 0,
    };
    let digits = text.get(..text.len() - usize::from(shift > 0)).unwrap_or_default();
    let bare = digits.strip_prefix('-').unwrap_or(digits);
    // 24 digits leave room for the unit letter in 128 bits, and no range reaches so far.
    if bare.is_empty() || bare.len() > 24 || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueProblem::NotInteger);
    }
    let value = digits.parse::<i128>().map_err(|_| ValueProblem::NotInteger)? << shift;
    let (minimum, maximum) = match setting.range {
        Range::Integer { minimum, maximum } => (minimum, maximum),
        _ => (i64::MIN, u64::MAX),
    };
    let in_range = (i128::from(minimum)..=i128::from(maximum)).contains(&value);
    let converted = N::try_from(value).ok().filter(|_| in_range);
    converted.ok_or(ValueProblem::OutOfRange { minimum, maximum, unit: setting.unit })
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl Field for $type {
            fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
                read_integer(text, setting)
            }

            fn show(&self, _: &Setting) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

integers!(u32, u64, i64);

/// A compression level: Nix writes the method's own default as -1.
impl Field for Option<i32> {
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
        let level = read_integer(text, setting)?;
        Ok((level != -1).then_some(level))
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.unwrap_or(-1).to_string())
    }
}

impl Field for Duration {
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
        let count = read_integer(text, setting)?;
        match setting.unit {
            Unit::Milliseconds => Ok(Duration::from_millis(count)),
            _ => Ok(Duration::from_secs(count)),
        }
    }

    fn show(&self, setting: &Setting) -> Option<String> {
        match setting.unit {
            Unit::Milliseconds => Some(self.as_millis().to_string()),
            _ => Some(self.as_secs().to_string()),
        }
    }
}

/// A limit of time: 0 is none.
impl Field for Option<Duration> {
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
        Ok(Some(Duration::read(text, setting)?).filter(|limit| !limit.is_zero()))
    }

    fn show(&self, setting: &Setting) -> Option<String> {
        self.unwrap_or_default().show(setting)
    }
}

impl Field for String {
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
        if text.is_empty() {
            return Err(ValueProblem::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(ValueProblem::ControlCharacter);
        }
        if setting.range == Range::Name && !text.chars().all(is_name_char) {
            return Err(ValueProblem::NotAName);
        }
        Ok(text.to_owned())
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.clone())
    }
}

impl Field for PathBuf {
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
        match (text, setting.range) {
            ("", _) => Err(ValueProblem::Empty),
            (path, _) if path.starts_with('/') => Ok(PathBuf::from(text::canonical_path(path))),
            (_, Range::AbsolutePath) => Err(ValueProblem::NotAbsolute),
            (path, _) => Ok(PathBuf::from(path)),
        }
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.to_string_lossy().into_owned())
    }
}

impl Field for StoreDir {
    fn read(text: &str, _: &Setting) -> Result<Self, ValueProblem> {
        StoreDir::new(text).map_err(|error| ValueProblem::NotAStoreDir(error.to_string()))
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.as_str().to_owned())
    }
}

/// Words between white space, such as `system-features`.
impl Field for Vec<String> {
    fn read(text: &str, _: &Setting) -> Result<Self, ValueProblem> {
        Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
    }

    fn show(&self, _: &Setting) -> Option<String> {
        (!self.is_empty()).then(|| self.join(" "))
    }
}

/// Picks the value that stands at the same place as the word in the setting's range.
fn read_word<T: Copy>(text: &str, setting: &Setting, values: &[T]) -> Result<T, ValueProblem> {
    let Range::OneOf(words) = setting.range else {
        return Err(ValueProblem::Empty);
    };
    let position = words.iter().position(|word| *word == text);
    position.and_then(|index| values.get(index).copied()).ok_or_else(|| unknown_word(text, words))
}

fn unknown_word(text: &str, expected: &'static [&'static str]) -> ValueProblem {
    // The one method that Nix calls by an abbreviation only.
    let nearest =
        if text == "brotli" { Some("br") } else { nearest::nearest(text, expected.iter().copied()) };
    ValueProblem::NotOneOf { expected, nearest: nearest.filter(|word| expected.contains(word)) }
}

fn show_word<T: PartialEq>(value: &T, setting: &Setting, values: &[T]) -> Option<String> {
    let Range::OneOf(words) = setting.range else {
        return None;
    };
    let index = values.iter().position(|candidate| candidate == value)?;
    words.get(index).map(|word| (*word).to_owned())
}

/// Types with a word for each value, in the order of the setting's range.
macro_rules! words {
    ($($type:ty: $values:expr;)+) => {$(
        impl Field for $type {
            fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
                read_word(text, setting, &$values)
            }

            fn show(&self, setting: &Setting) -> Option<String> {
                show_word(self, setting, &$values)
            }
        }
    )+};
}

words! {
    Scheme: [Scheme::Https, Scheme::Http];
    AddressingStyle: [AddressingStyle::Auto, AddressingStyle::Path, AddressingStyle::Virtual];
    S3Client: [S3Client::ObjectStore, S3Client::Rusoto];
    ServerSideEncryption: [
        ServerSideEncryption::Aes256,
        ServerSideEncryption::Kms,
        ServerSideEncryption::KmsDsse,
    ];
}

impl Field for Compression {
    fn read(text: &str, setting: &Setting) -> Result<Self, ValueProblem> {
        match setting.range {
            Range::OneOf(words) if !words.contains(&text) => Err(unknown_word(text, words)),
            _ => Ok(Compression::from(text)),
        }
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.to_string())
    }
}

impl Field for Endpoint {
    fn read(text: &str, _: &Setting) -> Result<Self, ValueProblem> {
        Endpoint::parse(text)
    }

    fn show(&self, _: &Setting) -> Option<String> {
        Some(self.to_string())
    }
}

/// Tags as the header `x-amz-tagging` has them; S3's own limits.
impl Field for Vec<(String, String)> {
    fn read(text: &str, _: &Setting) -> Result<Self, ValueProblem> {
        let tag = |item: &str| {
            let (name, value) = item.split_once('=')?;
            let name = text::decode(name, 0).ok()?.into_owned();
            let value = text::decode(value, 0).ok()?.into_owned();
            let fits = (1..=128).contains(&name.chars().count()) && value.chars().count() <= 256;
            let printable = !name.chars().chain(value.chars()).any(char::is_control);
            (fits && printable).then_some((name, value))
        };
        let items = text.split('&').filter(|item| !item.is_empty());
        let tags = items.map(tag).collect::<Option<Vec<_>>>().ok_or(ValueProblem::Tags)?;
        if tags.len() > 10 { Err(ValueProblem::Tags) } else { Ok(tags) }
    }

    fn show(&self, _: &Setting) -> Option<String> {
        let tag = |(name, value): &(String, String)| {
            format!("{}={}", text::encode_component(name), text::encode_component(value))
        };
        (!self.is_empty()).then(|| self.iter().map(tag).collect::<Vec<_>>().join("&"))
    }
}
