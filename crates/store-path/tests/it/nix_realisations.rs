//! Realisations against a real Nix: it builds content-addressed derivations, signs what it realised them as, and
//! copies that to a binary cache.

use std::collections::BTreeSet;
use std::fs;

use nars3_store_path::{Realisation, SecretKey};
use proptest::prelude::any;

use crate::support::{Nix, file_names, random};

const EXPRESSION: &str = r#"
let
  make = name: outputs: script: builtins.derivation {
    inherit name outputs; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
    __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
  };
  lower = make "lower" [ "out" "lib" ] "echo out > $out; echo lib > $lib";
in make "upper" [ "out" ] "echo ${lower} ${lower.lib} > $out"
"#;

#[test]
fn realisations_in_a_binary_cache_print_back_and_verify() {
    let Some(nix) = Nix::new("realisations in a binary cache") else { return };
    let secret = SecretKey::from_seed("our-1", random(any::<[u8; 32]>())).unwrap();
    fs::write(nix.path("secret"), secret.to_secret_string().as_bytes()).unwrap();
    nix.configure(&format!("secret-key-files = {}", nix.path("secret").display()));
    fs::write(nix.path("default.nix"), EXPRESSION).unwrap();
    let cache = format!("file://{}", nix.path("cache").display());
    nix.run("nix", ["copy", "--file", "default.nix", "--to", &cache]);

    let folder = nix.path("cache/realisations");
    let names = file_names(&folder);
    let mut outputs = BTreeSet::new();
    let mut dependencies = 0;
    for name in &names {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let mut realisation = Realisation::from_json(&text).unwrap();
        assert_eq!(realisation.to_json(), text);
        assert_eq!(realisation.id.object_key(), format!("realisations/{name}"));
        assert_eq!(realisation.valid_signatures(&[secret.public_key()].into_iter().collect()), 1, "{text}");
        let theirs = std::mem::take(&mut realisation.signatures);
        realisation.sign(&secret);
        assert_eq!(realisation.signatures, theirs);
        dependencies += realisation.dependent_realisations.len();
        outputs.insert(realisation.out_path.name().to_owned());
    }
    assert_eq!(outputs, ["lower", "lower-lib", "upper"].map(str::to_owned).into());
    assert_eq!(dependencies, 2);
}
