//! Keys against a real Nix. What Nix signs with them is compared where there are paths to sign.

use std::fs;

use nars3_store_path::{PublicKey, SecretKey};

use crate::support::{Nix, random};
use proptest::prelude::any;

#[test]
fn keys_that_nix_generates_read_back() {
    let Some(nix) = Nix::new("keys that Nix generates read back") else { return };
    nix.run("nix-store", ["--generate-binary-cache-key", "cache.example.org-1", "secret", "public"]);
    let text = fs::read_to_string(nix.path("secret")).unwrap();
    let secret = SecretKey::parse(&text).unwrap();
    assert_eq!(secret.name(), "cache.example.org-1");
    assert_eq!(*secret.to_secret_string(), text);
    let public = fs::read_to_string(nix.path("public")).unwrap();
    assert_eq!(secret.public_key().to_string(), public);
    assert_eq!(public.parse::<PublicKey>().unwrap(), secret.public_key());
}

#[test]
fn nix_reads_our_keys() {
    let Some(nix) = Nix::new("Nix reads our keys") else { return };
    for _ in 0..5 {
        let secret = SecretKey::from_seed("our-1", random(any::<[u8; 32]>())).unwrap();
        fs::write(nix.path("secret"), secret.to_secret_string().as_bytes()).unwrap();
        let output = nix
            .command("nix", ["key", "convert-secret-to-public"])
            .stdin(fs::File::open(nix.path("secret")).unwrap())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), secret.public_key().to_string());
    }
}
