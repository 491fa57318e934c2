//! Names that differ only in case, on file systems that cannot tell them apart: Nix's case hack.
//!
//! On restore the second of them gets the suffix `~nix~case~hack~1`, the third `~nix~case~hack~2`; on dump the
//! suffix is taken off (Nix 2.29 `archive.cc`, setting `use-case-hack`).

use std::collections::HashMap;

/// What stands between a name and its number.
const SUFFIX: &[u8] = b"~nix~case~hack~";

/// The name in the NAR for a name on disk.
pub(crate) fn unhacked(on_disk: &[u8]) -> &[u8] {
    let suffix = on_disk.windows(SUFFIX.len()).position(|window| window == SUFFIX);
    on_disk.get(..suffix.unwrap_or(on_disk.len())).unwrap_or(on_disk)
}

/// The names given so far in one directory, to find names on disk for the next ones.
#[derive(Debug, Default)]
pub(crate) struct DiskNames {
    /// What was given, in lower case (ASCII, as Nix compares).
    given: HashMap<Vec<u8>, Given>,
}

/// How a name on disk came to be.
#[derive(Debug)]
enum Given {
    /// From the NAR, with the number of later names that collided with it.
    Plain(u64),
    /// With a suffix.
    Hacked,
}

/// A name of the NAR is the name that another one was given on disk.
#[derive(Debug)]
pub(crate) struct Collision;

impl DiskNames {
    /// The name on disk for the next name of the NAR.
    pub(crate) fn choose(&mut self, name: &[u8]) -> Result<Vec<u8>, Collision> {
        let key = name.to_ascii_lowercase();
        let collisions = match self.given.get_mut(&key) {
            None => {
                self.given.insert(key, Given::Plain(0));
                return Ok(name.to_vec());
            }
            Some(Given::Hacked) => return Err(Collision),
            Some(Given::Plain(collisions)) => collisions,
        };
        *collisions += 1;
        let on_disk = [name, SUFFIX, collisions.to_string().as_bytes()].concat();
        match self.given.insert(on_disk.to_ascii_lowercase(), Given::Hacked) {
            None => Ok(on_disk),
            Some(_) => Err(Collision),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colliding_names_are_numbered_and_come_back() {
        let mut names = DiskNames::default();
        for (name, on_disk) in [
            ("README", "README"),
            ("ReadMe", "ReadMe~nix~case~hack~1"),
            ("other", "other"),
            ("readme", "readme~nix~case~hack~2"),
        ] {
            assert_eq!(names.choose(name.as_bytes()).unwrap(), on_disk.as_bytes());
            assert_eq!(unhacked(on_disk.as_bytes()), name.as_bytes());
        }
    }

    #[test]
    fn a_name_that_looks_hacked_cannot_take_the_place_of_another() {
        let mut names = DiskNames::default();
        for name in ["A", "a"] {
            names.choose(name.as_bytes()).unwrap();
        }
        assert!(names.choose(b"a~Nix~case~hack~1").is_err());

        let mut names = DiskNames::default();
        for name in ["A", "A~nix~case~hack~1"] {
            names.choose(name.as_bytes()).unwrap();
        }
        assert!(names.choose(b"a").is_err());
    }
}
