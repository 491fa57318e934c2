//! Writes a narinfo as Nix does.

use std::fmt::Write;

use nars3_store_path::StoreDir;

use super::signatures::by_key;
use super::{Flags, NarInfo};

/// The fields in Nix's order (Nix 2.29 `nar-info.cc`), each line ended, nothing after.
pub(super) fn print(narinfo: &NarInfo, store_dir: &StoreDir) -> String {
    let info = &narinfo.info;
    let mut text = String::with_capacity(estimated_length(narinfo));
    line(&mut text, "StorePath: ", &[store_dir.as_str(), "/", info.path.base_name()]);
    line(&mut text, "URL: ", &[&narinfo.url]);
    line(&mut text, "Compression: ", &[narinfo.compression.name()]);
    if let Some(hash) = &narinfo.file_hash {
        line(&mut text, "FileHash: ", &[&hash.to_nix32()]);
    }
    if let Some(size) = narinfo.file_size {
        number(&mut text, "FileSize: ", size);
    }
    line(&mut text, "NarHash: ", &[&info.nar_hash.to_nix32()]);
    number(&mut text, "NarSize: ", info.nar_size);
    text.push_str("References: ");
    let mut separator = "";
    for reference in &info.references {
        text.push_str(separator);
        text.push_str(reference.base_name());
        separator = " ";
    }
    text.push('\n');
    if let Some(deriver) = &info.deriver {
        line(&mut text, "Deriver: ", &[deriver.base_name()]);
    }
    if narinfo.flags.contains(Flags::SIGNATURES_BY_KEY) {
        for signature in by_key(&info.signatures) {
            line(&mut text, "Sig: ", &[signature.as_str()]);
        }
    } else {
        for signature in &info.signatures {
            line(&mut text, "Sig: ", &[signature.as_str()]);
        }
    }
    if let Some(ca) = &info.ca {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "CA: {ca}");
    }
    text
}

fn line(text: &mut String, name: &str, value: &[&str]) {
    text.push_str(name);
    for part in value {
        text.push_str(part);
    }
    text.push('\n');
}

fn number(text: &mut String, name: &str, value: u64) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name}{value}");
}

/// Enough for everything but unusually long names, so that the text rarely moves.
fn estimated_length(narinfo: &NarInfo) -> usize {
    512 + 64 * narinfo.info.references.len() + 128 * narinfo.info.signatures.len() + narinfo.url.len()
}
