//! Derivations: what their outputs are, and by which hash the outputs of those are known whose paths depend on their
//! contents.
//!
//! A derivation is `Derive([("out","/nix/store/…","",""),…],…)`; one with dynamic dependencies begins
//! `DrvWithVersion("xp-dyn-drv",[…` (Nix 2.29 `derivations.cc`).

mod modulo;
mod parser;
mod whole;

use std::io::{self, Read};

use nars3_store_path::{StoreDir, StorePath, StorePathError};

use self::parser::{Parser, parser};
pub use self::whole::Derivation;

/// Bytes in which the outputs must end. Derivations have a handful of outputs of some hundred bytes.
const LIMIT: u64 = 1024 * 1024;

/// A file whose name ends in `.drv` is not a derivation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DerivationError {
    /// It does not begin as a derivation does.
    #[error("at byte {offset} of the derivation: expected {expected}")]
    Syntax {
        /// Bytes before the place.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// An output is no store path.
    #[error("output '{name}' of the derivation has the path '{path}'")]
    BadPath {
        /// The name of the output.
        name: String,
        /// What stands for its path.
        path: String,
        /// What is wrong with it.
        #[source]
        source: StorePathError,
    },
    /// It depends on outputs of derivations that only a build makes known (`dynamic-derivations`).
    #[error("the derivation depends on derivations that are themselves built, which is not supported")]
    Dynamic,
    /// The derivations that it depends on lead back to itself.
    #[error("the derivation depends on itself")]
    Cycle,
    /// A derivation that it depends on, or an output of that, is not known.
    #[error("the derivation depends on output '{output}' of '{derivation}', which is not known")]
    UnknownInput {
        /// The path of the other derivation, as it stands there.
        derivation: String,
        /// The output of that.
        output: String,
    },
    /// The bytes cannot be had.
    #[error("the derivation cannot be read")]
    Read(#[from] io::Error),
}

/// The names and the paths of the outputs whose paths are known: an output whose path depends on its contents has none
/// yet. `file` is the derivation, of which only the beginning is read.
///
/// # Errors
/// When it does not begin as a derivation does, or cannot be read.
pub fn outputs(file: impl Read, store_dir: &StoreDir) -> Result<Vec<(String, StorePath)>, DerivationError> {
    let mut parser = parser(file, LIMIT);
    if parser.peek()? == Some(b'D') {
        parser.head()?;
    }
    known_outputs(&output_tuples(&mut parser)?, store_dir)
}

/// An output as it stands there.
#[derive(Debug, Clone)]
struct Output {
    name: String,
    path: String,
    /// The method and the algorithm of its content address.
    method: String,
    /// The hash that it must have.
    hash: String,
}

fn output_tuples<I>(parser: &mut Parser<I>) -> Result<Vec<Output>, DerivationError>
where
    I: Iterator<Item = io::Result<u8>>,
{
    parser.list("[", b']', |parser| {
        let [name, path, method, hash] = parser.tuple()?;
        Ok(Output { name, path, method, hash })
    })
}

fn known_outputs(
    outputs: &[Output],
    store_dir: &StoreDir,
) -> Result<Vec<(String, StorePath)>, DerivationError> {
    let known = outputs.iter().filter(|output| !output.path.is_empty());
    known
        .map(|Output { name, path, .. }| match store_dir.parse(path) {
            Ok(parsed) => Ok((name.clone(), parsed)),
            Err(source) => Err(DerivationError::BadPath { name: name.clone(), path: path.clone(), source }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "/nix/store/00000000000000000000000000000000-x";

    fn names(text: &str) -> Result<Vec<String>, DerivationError> {
        let outputs = outputs(text.as_bytes(), &StoreDir::default())?;
        Ok(outputs.into_iter().map(|(name, path)| format!("{name}={path}")).collect())
    }

    #[test]
    fn outputs_are_read_and_the_rest_is_not() {
        let text = format!(r#"Derive([("dev","{OUT}-dev","",""),("out","{OUT}","r:sha256","00")],[not read"#);
        let expected = [
            "dev=00000000000000000000000000000000-x-dev".to_owned(),
            "out=00000000000000000000000000000000-x".to_owned(),
        ];
        assert_eq!(names(&text).expect("well-formed"), expected);
    }

    #[test]
    fn a_derivation_with_dynamic_dependencies_has_outputs_too() {
        let text = format!(r#"DrvWithVersion("xp-dyn-drv",[("out","{OUT}","","")],["#);
        assert_eq!(names(&text).expect("well-formed").len(), 1);
    }

    #[test]
    fn an_output_without_a_path_is_left_out() {
        let text = r#"Derive([("out","","r:sha256","")],["#;
        assert_eq!(names(text).expect("well-formed"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_derivation_says_where() {
        for (text, place) in [
            ("", 0),
            ("hello", 0),
            ("Derive((", 7),
            (r#"Derive([("out"#, 13),
            (r#"Derive([("out","p","","")("#, 25),
        ] {
            match names(text) {
                Err(DerivationError::Syntax { offset, .. }) => assert_eq!(offset, place, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_output_outside_the_store_is_refused() {
        let text = r#"Derive([("out","/etc/passwd","","")],["#;
        assert!(matches!(names(text), Err(DerivationError::BadPath { .. })));
    }

    #[test]
    fn a_string_may_not_eat_the_whole_disk() {
        let endless = io::repeat(b'a');
        let text = r#"Derive([(""#.as_bytes().chain(endless);
        assert!(matches!(outputs(text, &StoreDir::default()), Err(DerivationError::Syntax { .. })));
    }
}
