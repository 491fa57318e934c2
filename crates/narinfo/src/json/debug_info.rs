//! The links from build ids to debug info: `debuginfo/<build id>.debug`.

use serde_json::json;

use super::JsonError;
use super::object::{Object, parse, print, string};

/// What errors say was to be read.
const WHAT: &str = "a debug info link";

/// Which member of which NAR holds the debug info for a build id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebugInfoLink {
    /// The URL of the NAR file, relative to the link: `../nar/….nar.xz`.
    pub archive: String,
    /// The path in the NAR, without a slash in front: `lib/debug/.build-id/xx/….debug`.
    pub member: String,
}

/// A text that is not a build id.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("'{}' is not a build id, expected 40 hexadecimal digits in lower case", value.escape_debug())]
pub struct NotABuildId {
    /// The text.
    pub value: String,
}

/// The directory in a NAR where separate debug info is.
const BUILD_ID_DIRECTORY: &str = "lib/debug/.build-id/";

/// The object key of the link for a build id of 40 lower case hexadecimal digits, `.debug` included as Nix does.
///
/// # Errors
///
/// For anything but 40 such digits.
pub fn debug_info_key(build_id: &str) -> Result<String, NotABuildId> {
    if build_id.len() == 40 && is_hex(build_id) {
        Ok(format!("debuginfo/{build_id}.debug"))
    } else {
        Err(NotABuildId { value: build_id.chars().take(80).collect() })
    }
}

impl DebugInfoLink {
    /// The link for a file of a NAR, and the key it belongs under; nothing if the file is not separate debug info.
    ///
    /// `nar_url` is the `URL` of the narinfo, `member` the path of a regular file in the NAR. Nix looks for
    /// `lib/debug/.build-id/<2 digits>/<38 digits>.debug` (`binary-cache-store.cc`).
    pub fn for_member(nar_url: &str, member: &str) -> Option<(String, Self)> {
        let (first, rest) = member.strip_prefix(BUILD_ID_DIRECTORY)?.split_once('/')?;
        let rest = rest.strip_suffix(".debug")?;
        if first.len() != 2 {
            return None;
        }
        let key = debug_info_key(&format!("{first}{rest}")).ok()?;
        Some((key, Self { archive: format!("../{nar_url}"), member: member.to_owned() }))
    }

    /// The object as Nix writes it.
    pub fn to_json(&self) -> String {
        print(json!({ "archive": self.archive, "member": self.member }))
    }

    /// Reads the object.
    ///
    /// # Errors
    ///
    /// What is not JSON, or does not have both keys.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        let value = parse(WHAT, text)?;
        let object = Object::of(WHAT, &value)?;
        Ok(Self {
            archive: object.required("archive", string)?.to_owned(),
            member: object.required("member", string)?.to_owned(),
        })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD_ID: &str = "02623eda209c26a59b1a8638ff7752f6b945c26b";
    const NAR: &str = "nar/100vxs724qr46phz8m24iswmg9p3785hsyagz0kchf6q6gf06sw6.nar";
    const MEMBER: &str = "lib/debug/.build-id/02/623eda209c26a59b1a8638ff7752f6b945c26b.debug";

    #[test]
    fn the_link_of_nix_tests() {
        let (key, link) = DebugInfoLink::for_member(NAR, MEMBER).unwrap();
        assert_eq!(key, format!("debuginfo/{BUILD_ID}.debug"));
        assert_eq!(key, debug_info_key(BUILD_ID).unwrap());
        let json = format!(r#"{{"archive":"../{NAR}","member":"{MEMBER}"}}"#);
        assert_eq!(link.to_json(), json);
        assert_eq!(DebugInfoLink::from_json(&json).unwrap(), link);
    }

    #[test]
    fn other_files_have_no_link() {
        for member in [
            "lib/debug/.build-id/02/623eda209c26a59b1a8638ff7752f6b945c26b",
            "lib/debug/.build-id/02/623EDA209c26a59b1a8638ff7752f6b945c26b.debug",
            "lib/debug/.build-id/026/23eda209c26a59b1a8638ff7752f6b945c26b.debug",
            "lib/debug/.build-id/02/x/623eda209c26a59b1a8638ff7752f6b945c2.debug",
            "/lib/debug/.build-id/02/623eda209c26a59b1a8638ff7752f6b945c26b.debug",
            "lib/debug/.build-id/02",
            "",
        ] {
            assert_eq!(DebugInfoLink::for_member(NAR, member), None, "{member}");
        }
    }

    #[test]
    fn errors_name_the_key() {
        let error = DebugInfoLink::from_json(r#"{"archive":"a"}"#).unwrap_err();
        assert_eq!(error.to_string(), "JSON of a debug info link is wrong: the key 'member' is missing");
        let error = DebugInfoLink::from_json(r#"{"archive":1,"member":""}"#).unwrap_err();
        let expected = "JSON of a debug info link is wrong at 'archive': found 1, expected a string";
        assert_eq!(error.to_string(), expected);
        let error = debug_info_key("../x").unwrap_err();
        assert!(error.to_string().starts_with("'../x' is not a build id"));
    }
}
