//! Hashing modulo a hash part: its occurrences count as zeros, and their positions are hashed at the end.

use std::fmt;

use nars3_store_path::{Algorithm, Hash, HashPart, Hasher};

/// The length of a hash part.
const LENGTH: usize = 32;

/// A hasher that looks for a hash part, in constant memory but for the positions found, which are bounded.
pub(super) struct ModuloHasher {
    hasher: Hasher,
    needle: Option<Needle>,
    /// The end of the input so far, when an occurrence may begin in it; shorter than a hash part, not yet hashed.
    held: Vec<u8>,
    /// How many bytes came before `held`.
    position: u64,
    found: Positions,
}

/// Where the hash part occurs.
struct Positions {
    /// Empty once there were too many.
    known: Vec<u64>,
    limit: usize,
    exceeded: bool,
}

impl Positions {
    /// Keeps a position, or says that it is one too many.
    fn keep(&mut self, position: u64) -> bool {
        self.exceeded |= self.known.len() >= self.limit;
        if self.exceeded {
            self.known = Vec::new();
        } else {
            self.known.push(position);
        }
        !self.exceeded
    }
}

impl ModuloHasher {
    pub(super) fn new(algorithm: Algorithm, hash_part: Option<HashPart>, limit: usize) -> Self {
        let needle = hash_part.and_then(|part| Needle::new(part.as_str().as_bytes()));
        Self {
            hasher: Hasher::new(algorithm),
            needle,
            held: Vec::with_capacity(2 * LENGTH),
            position: 0,
            found: Positions { known: Vec::new(), limit, exceeded: false },
        }
    }

    /// Takes the next bytes; they no longer matter once the limit is exceeded.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if self.found.exceeded {
            return;
        }
        let Some(needle) = &self.needle else {
            self.hasher.update(bytes);
            return;
        };
        // First what begins in the held bytes, together with so much of the new ones that an occurrence can end.
        let mut rest = bytes;
        if !self.held.is_empty() {
            let (seam, _) = bytes.split_at(bytes.len().min(LENGTH - 1));
            let old = self.held.len();
            self.held.extend_from_slice(seam);
            let mut done = 0;
            if let Some(at) = needle.find(&self.held) {
                self.hasher.update(&self.held[..at]);
                self.hasher.update(&[0; LENGTH]);
                if !self.found.keep(self.position + at as u64) {
                    return;
                }
                done = at + LENGTH;
            } else if self.held.len() < LENGTH {
                return;
            }
            // An occurrence that begins in the held bytes ends after them, so `done` is 0 or in the new bytes. What
            // is left of the held bytes begins no occurrence, unless the new ones are too few to tell.
            let known = if bytes.len() < LENGTH - 1 && done == 0 {
                self.held.len() - (LENGTH - 1)
            } else {
                old.max(done)
            };
            if done == 0 {
                self.hasher.update(&self.held[..known]);
            }
            self.position += known as u64;
            if known < old {
                self.held.drain(..known);
                return;
            }
            rest = bytes.get(known - old..).unwrap_or_default();
            self.held.clear();
        }
        while let Some(at) = needle.find(rest) {
            if !self.found.keep(self.position + at as u64) {
                return;
            }
            let (before, after) = rest.split_at(at);
            self.hasher.update(before);
            self.hasher.update(&[0; LENGTH]);
            self.position += (at + LENGTH) as u64;
            rest = after.get(LENGTH..).unwrap_or_default();
        }
        let (now, later) = rest.split_at(rest.len().saturating_sub(LENGTH - 1));
        self.hasher.update(now);
        self.position += now.len() as u64;
        self.held.extend_from_slice(later);
    }

    /// The hash, or nothing when there were more occurrences than the limit.
    pub(super) fn finish(mut self) -> Option<Hash> {
        if self.found.exceeded {
            return None;
        }
        self.hasher.update(&self.held);
        for position in &self.found.known {
            self.hasher.update(format!("|{position}").as_bytes());
        }
        Some(self.hasher.finish())
    }
}

impl fmt::Debug for ModuloHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuloHasher").field("position", &self.position).finish_non_exhaustive()
    }
}

/// A hash part prepared for searching (Horspool's way): text without its characters is passed over in steps of 32.
struct Needle {
    bytes: [u8; LENGTH],
    /// By the text's byte under the needle's end: how far the needle may move on.
    shift: [u8; 256],
}

impl Needle {
    fn new(hash_part: &[u8]) -> Option<Self> {
        let bytes: [u8; LENGTH] = hash_part.try_into().ok()?;
        let mut shift = [LENGTH as u8; 256];
        for (distance, byte) in (1..LENGTH as u8).rev().zip(bytes) {
            shift[usize::from(byte)] = distance;
        }
        Some(Self { bytes, shift })
    }

    /// Where the first occurrence in `text` begins.
    fn find(&self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(last) = text.get(at + LENGTH - 1) {
            if *last == self.bytes[LENGTH - 1] && text.get(at..at + LENGTH) == Some(&self.bytes) {
                return Some(at);
            }
            at += usize::from(self.shift[usize::from(*last)]);
        }
        None
    }
}
