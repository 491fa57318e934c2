//! The formats against the outside: Nix's own test vectors, and a real Nix.

#[cfg(test)]
mod nix_hashes;
#[cfg(test)]
mod nix_keys;
#[cfg(test)]
mod nix_paths;
#[cfg(test)]
mod nix_realisations;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upstream_folders;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wire_strings;
