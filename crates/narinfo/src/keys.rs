//! The names of the objects in a binary cache.

use nars3_store_path::{Hash, StorePath};

use crate::Compression;

/// The key of the narinfo of a store path: `<hash part>.narinfo`.
pub fn narinfo_key(path: &StorePath) -> String {
    keyed_by_hash_part(path, ".narinfo")
}

/// The key of the NAR listing of a store path: `<hash part>.ls`.
pub fn listing_key(path: &StorePath) -> String {
    keyed_by_hash_part(path, ".ls")
}

/// The key of a NAR file as Nix chooses it: `nar/<Nix32 digest of the file as stored>.nar<extension>`.
///
/// `file_hash` is the hash of the *compressed* file. The result is also the `URL` of the narinfo.
pub fn nar_key(file_hash: &Hash, compression: &Compression) -> String {
    format!("nar/{}.nar{}", file_hash.nix32_digest(), compression.file_extension())
}

fn keyed_by_hash_part(path: &StorePath, suffix: &str) -> String {
    let hash_part = path.hash_part();
    let hash_part = hash_part.as_str();
    let mut key = String::with_capacity(hash_part.len() + suffix.len());
    key.push_str(hash_part);
    key.push_str(suffix);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_store_path() {
        let path = StorePath::from_base_name("0a3yijp35sygmy51cnrrz11vimwapz7c-dbus-conf").unwrap();
        assert_eq!(narinfo_key(&path), "0a3yijp35sygmy51cnrrz11vimwapz7c.narinfo");
        assert_eq!(listing_key(&path), "0a3yijp35sygmy51cnrrz11vimwapz7c.ls");
    }

    #[test]
    fn key_of_a_nar() {
        let hash = Hash::parse("sha256:0i1dmr7f1pliycq471wfgifwrkbii2ky9gb35zsvv46ld1rl2m2c").unwrap();
        let stem = "nar/0i1dmr7f1pliycq471wfgifwrkbii2ky9gb35zsvv46ld1rl2m2c.nar";
        assert_eq!(nar_key(&hash, &Compression::Xz), format!("{stem}.xz"));
        assert_eq!(nar_key(&hash, &Compression::Gzip), stem);
        assert_eq!(nar_key(&hash, &Compression::None), stem);
    }
}
