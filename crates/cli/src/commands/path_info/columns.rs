//! The lines of `nix path-info` (Nix 2.29 `path-info.cc`), byte for byte.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_path::{StoreDir, StorePath};

/// What a line says of a path beside its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) size: bool,
    pub(super) closure_size: bool,
    pub(super) human_readable: bool,
    pub(super) signatures: bool,
}

impl Columns {
    fn any(self) -> bool {
        self.size || self.closure_size || self.signatures
    }

    /// The line of a path; `width` is the length of the longest path beside it, in bytes.
    pub(super) fn line(
        self,
        info: &PathInfo,
        store_dir: &StoreDir,
        width: usize,
        closure_size: impl FnOnce() -> u64,
    ) -> String {
        let mut line = store_dir.print(&info.path);
        if self.any() {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(line.len())));
        }
        if self.size {
            self.push_size(&mut line, info.nar_size);
        }
        if self.closure_size {
            self.push_size(&mut line, closure_size());
        }
        if self.signatures {
            let ultimate = info.ultimate.then(|| "ultimate".to_owned());
            let ca = info.ca.as_ref().map(|ca| format!("ca:{ca}"));
            let signatures = info.signatures.iter().map(ToString::to_string);
            let words: Vec<_> = ultimate.into_iter().chain(ca).chain(signatures).collect();
            line.push('\t');
            line.push_str(&words.join(" "));
        }
        line
    }

    fn push_size(self, line: &mut String, bytes: u64) {
        line.push('\t');
        line.push_str(&if self.human_readable { in_units(bytes) } else { format!("{bytes:>11}") });
    }
}

/// A size in bytes as Nix 2.29 prints it for people (`util.cc`): no unit is smaller than KiB, and 1024 of one are not yet
/// one of the next.
fn in_units(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    let mut value = bytes as f64 / 1024.0;
    while value > 1024.0
        && let Some(next) = units.next()
    {
        value /= 1024.0;
        unit = next;
    }
    format!("{value:>6.1} {unit}")
}

/// Sorts as Nix does: each path behind those of its references that are printed, too; first what comes first by its hash.
pub(super) fn references_first(infos: Vec<Arc<PathInfo>>) -> Vec<Arc<PathInfo>> {
    let infos: BTreeMap<StorePath, Arc<PathInfo>> =
        infos.into_iter().map(|info| (info.path.clone(), info)).collect();
    let mut visited: HashSet<&StorePath> = HashSet::with_capacity(infos.len());
    let mut sorted = Vec::with_capacity(infos.len());
    for (path, info) in &infos {
        if !visited.insert(path) {
            continue;
        }
        // A chain of references can be longer than a stack is deep.
        let mut open = vec![(info, info.references.iter())];
        while let Some((info, references)) = open.last_mut() {
            match references.find_map(|reference| infos.get_key_value(reference)) {
                Some((path, next)) if visited.insert(path) => open.push((next, next.references.iter())),
                Some(_) => {}
                None => {
                    sorted.push(Arc::clone(info));
                    open.pop();
                }
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use nars3_store_path::Hash;

    use super::*;

    /// As Nix's own formula gives them.
    #[test]
    fn sizes_are_rounded_as_nix_rounds_them() {
        for (bytes, expected) in [
            (0, "   0.0 KiB"),
            (408, "   0.4 KiB"),
            (1024, "   1.0 KiB"),
            (1 << 20, "1024.0 KiB"),
            ((1 << 20) + 1, "   1.0 MiB"),
            (3_300_520, "   3.1 MiB"),
            (12_433_615_056, "  11.6 GiB"),
            (u64::MAX, "  16.0 EiB"),
        ] {
            assert_eq!(in_units(bytes), expected, "{bytes}");
        }
    }

    fn info(name: char, references: &[char]) -> Arc<PathInfo> {
        let path =
            |name: &char| StorePath::from_base_name(&format!("{}-x", name.to_string().repeat(32))).unwrap();
        let mut info = PathInfo::new(path(&name), Hash::sha256([0; 32]), 1);
        info.references = references.iter().map(path).collect();
        Arc::new(info)
    }

    fn sorted(infos: Vec<Arc<PathInfo>>) -> String {
        let first = |info: &Arc<PathInfo>| info.path.base_name().chars().next().unwrap();
        references_first(infos).iter().map(first).collect()
    }

    #[test]
    fn references_come_first_and_then_hashes() {
        assert_eq!(
            sorted(vec![info('c', &['a']), info('b', &[]), info('a', &['d', 'a']), info('d', &[])]),
            "dabc"
        );
        // What is not printed does not count, and a circle is no reason to go on for ever.
        assert_eq!(sorted(vec![info('a', &['z', 'b']), info('b', &['a'])]), "ba");
    }

    #[test]
    fn a_long_chain_fits_into_the_stack() {
        let name = |number: u32| StorePath::from_base_name(&format!("{number:032}-x")).unwrap();
        let chain = (0..100_000).map(|number| {
            let mut info = PathInfo::new(name(number), Hash::sha256([0; 32]), 1);
            info.references.insert(name(number + 1));
            Arc::new(info)
        });
        let sorted = references_first(chain.collect());
        assert_eq!(sorted.first().unwrap().path, name(99_999));
    }
}
