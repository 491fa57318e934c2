//! A store URL cut into its base and its settings, every piece with its position.

use std::borrow::Cow;

use crate::error::{Problem, StoreUrlError};
use crate::nearest;
use crate::text;
use crate::warning::Warning;

/// What stands in front of the settings.
#[derive(Clone, Copy)]
pub(crate) enum Base<'a> {
    /// `auto`, or nothing.
    Auto,
    /// `daemon`.
    Daemon,
    /// `local`.
    Local,
    /// A path with a `/` in it.
    Path(&'a str),
    /// A URL: the scheme, what stands behind its colon, and where that starts.
    Url { scheme: &'a str, rest: &'a str, at: usize },
}

/// A setting as it stands in the URL.
pub(crate) struct Parameter<'a> {
    /// The name, percent-decoded.
    pub(crate) name: Cow<'a, str>,
    /// Where the name starts.
    pub(crate) at: usize,
    /// The value, not yet decoded.
    pub(crate) value: &'a str,
    /// Where the value starts.
    pub(crate) value_at: usize,
}

/// A store URL in pieces.
pub(crate) struct Reference<'a> {
    pub(crate) base: Base<'a>,
    /// The text of the base.
    pub(crate) base_text: &'a str,
    /// The settings, in the order of the URL.
    pub(crate) parameters: Vec<Parameter<'a>>,
    without_equals: Vec<usize>,
    fragment: Option<usize>,
}

impl Reference<'_> {
    /// What is odd about the pieces themselves.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let missing = self.without_equals.iter().map(|at| Warning::MissingEquals { at: *at });
        missing.chain(self.fragment.map(|at| Warning::FragmentIgnored { at })).collect()
    }

    /// The first value of a name, decoded.
    pub(crate) fn first(&self, name: &str) -> Result<Option<String>, StoreUrlError> {
        let parameter = self.parameters.iter().find(|parameter| parameter.name == name);
        parameter.map(|found| text::decode(found.value, found.value_at).map(Cow::into_owned)).transpose()
    }
}

/// Cuts a store URL. Short names and paths are no URLs: a `#` in them is like any other character.
pub(crate) fn split(text: &str) -> Result<Reference<'_>, StoreUrlError> {
    let scheme = scheme_of(text);
    let fragment = scheme.and_then(|_| text.find('#'));
    let cut = text.get(..fragment.unwrap_or(text.len())).unwrap_or(text);
    let (base_text, query) = match cut.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (cut, None),
    };
    let base = match (scheme, base_text) {
        (Some(scheme), _) => {
            let at = scheme.len() + 1;
            Base::Url { scheme, rest: base_text.get(at..).unwrap_or_default(), at }
        }
        (None, "" | "auto") => Base::Auto,
        (None, "daemon") => Base::Daemon,
        (None, "local") => Base::Local,
        (None, path) if path.contains('/') => Base::Path(path),
        (None, word) => {
            let nearest = nearest::nearest(word, ["auto", "daemon", "local"]);
            return Err(StoreUrlError::new(0, word, Problem::NotAStore { nearest }));
        }
    };
    let mut reference =
        Reference { base, base_text, parameters: Vec::new(), without_equals: Vec::new(), fragment };
    if let Some(query) = query {
        split_query(query, base_text.len() + 1, &mut reference)?;
    }
    Ok(reference)
}

/// The scheme in front of the first colon (RFC 3986, 3.1), if there is one.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let rest = scheme.strip_prefix(|first: char| first.is_ascii_alphabetic())?;
    rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')).then_some(scheme)
}

/// Cuts `name=value&…`, which starts at byte `at`.
///
/// More characters are allowed than RFC 3986 has for a query: Nix takes spaces and quotes, and 2.29 anything at all
/// behind a short name. Only raw control characters are refused.
fn split_query<'a>(query: &'a str, at: usize, reference: &mut Reference<'a>) -> Result<(), StoreUrlError> {
    if let Some((index, _)) = query.char_indices().find(|(_, character)| character.is_control()) {
        let problem = Problem::InvalidCharacter { place: "the settings" };
        return Err(StoreUrlError::unquoted(at + index, problem));
    }
    let mut at = at;
    for item in query.split('&') {
        match item.split_once('=') {
            Some((name, value)) => reference.parameters.push(Parameter {
                name: text::decode(name, at)?,
                at,
                value,
                value_at: at + name.len() + 1,
            }),
            None if item.is_empty() => {}
            None => reference.without_equals.push(at),
        }
        at += item.len() + 1;
    }
    Ok(())
}
