//! The closure that the tests send around, built by real Nix: references, derivers, executables, symlinks, an empty
//! directory, and names that are odd but legal.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::nix::Nix;

/// Three paths: `app` refers to itself, to `library` and to `odd`.
const EXPRESSION: &str = r#"
{ tag }:
let
  build = name: attributes: script: derivation ({
    name = "${tag}-${name}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-u" "-c" script ];
    PATH = "/usr/bin:/bin";
  } // attributes);
in
rec {
  library = build "library" { } ''
    mkdir -p $out/lib/empty $out/share
    for i in 1 2 3 4 5 6 7 8 9; do echo "line $i of a file that compresses well" >> $out/lib/data; done
    head -c 300000 /dev/urandom > $out/share/noise
    : > $out/share/nothing
    ln -s data $out/lib/link
    ln -s /does/not/exist $out/lib/dangling
  '';
  odd = build "odd+names_1.0?x=y" { } ''
    mkdir "$out"
    echo a > "$out/ leading space"
    echo b > "$out/trailing dot."
    echo c > "$out/quote'\"\\"
    echo d > "$out/$(printf 'new\nline')"
    echo e > "$out/$(printf '\303\274ml\303\244ut')"
    echo f > "$out/percent%20&amp;"
    echo g > "$out/.hidden"
    echo h > "$out/Case"; echo i > "$out/case"
    mkdir -p "$out/deep/$(printf '%0200d' 0)/er"
  '';
  bytes = build "bytes" { } ''
    mkdir $out
    echo x > "$out/$(printf 'not\377utf8')"
  '';
  app = build "app" { inherit library odd bytes; } ''
    mkdir -p $out/bin
    printf '#!/bin/sh\nexec cat %s/lib/data # %s\n' $library $out > $out/bin/app
    chmod +x $out/bin/app
    ln -s $library/lib $out/lib
    ln -s "$odd" $out/odd
    ln -s $bytes $out/bytes
    ln -s app $out/bin/alias
  '';
}.app
"#;

/// A built closure.
#[derive(Clone, Debug)]
pub struct Closure {
    /// The symlink that `nix-build` made, as `./result` is one.
    pub link: PathBuf,
    /// The root, as a full store path. It has a self-reference, two references, an executable and symlinks.
    pub app: String,
    /// A path without references.
    pub library: String,
    /// All paths, sorted.
    pub paths: Vec<String>,
}

/// Has real Nix build a closure that no one has built before.
///
/// # Errors
/// When the build fails, or is not what its expression says.
pub fn build(nix: &Nix) -> Result<Closure> {
    let tag = format!("nars3-{:016x}", crate::server::random());
    let (link, app) = nix.build(EXPRESSION, &[("tag", &tag)])?;
    let paths = nix.closure(&app)?;
    ensure!(paths.len() == 4, "the closure has other paths than the four that were built: {paths:?}");
    // An unsandboxed builder can write anywhere: make sure that what was registered is what lies there.
    for path in &paths {
        nix.run("nix-store", ["--verify-path", path])?.success()?;
    }
    let library = paths.iter().find(|path| path.ends_with("-library")).cloned().unwrap_or_default();
    Ok(Closure { link, app, library, paths })
}

/// A store path without its directory.
#[must_use]
pub fn base_name(path: &str) -> &str {
    path.trim_start_matches("/nix/store/")
}

/// The object key of a path's narinfo.
#[must_use]
pub fn narinfo_key(path: &str) -> String {
    let base = base_name(path);
    format!("{}.narinfo", base.get(..32).unwrap_or(base))
}
