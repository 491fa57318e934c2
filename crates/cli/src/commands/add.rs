//! `nars3 add`: a file or directory becomes a content-addressed store path, without Nix.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use nars3_nar::{DumpOptions, Encoder};
use nars3_narinfo::PathInfo;
use nars3_store_api::{NarStream, StageOptions, Store, StoreError};
use nars3_store_path::{
    Algorithm, ContentAddress, ContentAddressMethod, Hash, Hasher, StorePath, store_path_for,
};

use crate::args::AddArgs;
use crate::error::{CliError, CliResult, ResultExt};
use crate::installable::store_path;
use crate::output::print_line;
use crate::run::Context;
use crate::stores::{Purpose, open_store};

pub(crate) async fn run(args: AddArgs, context: &Context) -> CliResult {
    // What we hash here ourselves needs nobody's signature.
    let purpose = Purpose::Write {
        trusted_public_keys: &[],
        secret_key_files: &args.secret_key_file,
        check_signatures: true,
        optimise: false,
    };
    let store = open_store(&args.to, purpose, context).await?.store;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => default_name(&args.path)?,
    };
    let references = args
        .references
        .iter()
        .map(|reference| store_path(reference, store.store_dir()))
        .collect::<CliResult<BTreeSet<StorePath>>>()?;

    let (path, method) = (args.path.clone(), ContentAddressMethod::from(args.mode));
    let algorithm = args.hash_algo.into();
    let contents = blocking(move || measure(&path, method, algorithm)).await?;
    let store_path = store_path_for(store.store_dir(), &name, &contents.ca, &references, false)
        .context(|| format!("'{}' cannot have a store path named '{name}'", args.path.display()))
        .hint(|| {
            "only --mode text and --mode nar, both with sha256, leave room for references, and text is always hashed \
             with sha256"
                .to_owned()
        })?;
    let printed = store.store_dir().print(&store_path);
    let known = store.valid_paths(std::slice::from_ref(&store_path)).await?;
    if !args.dry_run && known.is_empty() {
        let mut info = PathInfo::new(store_path, contents.nar_hash, contents.nar_size);
        info.references = references;
        info.ca = Some(contents.ca);
        add(store.as_ref(), info, args.path, method).await?;
    }
    print_line(printed)
}

/// What the contents of a file or directory say about its store path.
struct Contents {
    ca: ContentAddress,
    nar_hash: Hash,
    nar_size: u64,
}

fn measure(path: &Path, method: ContentAddressMethod, algorithm: Algorithm) -> CliResult<Contents> {
    let hash_of_nar = |algorithm| -> CliResult<(Hash, u64)> {
        let mut counted = Counted { hasher: Hasher::new(algorithm), size: 0 };
        dump(path, method, &mut counted)?;
        Ok((counted.hasher.finish(), counted.size))
    };
    let (nar_hash, nar_size) = hash_of_nar(Algorithm::Sha256)?;
    let hash = match method {
        ContentAddressMethod::NixArchive if algorithm == Algorithm::Sha256 => nar_hash,
        ContentAddressMethod::NixArchive => hash_of_nar(algorithm)?.0,
        ContentAddressMethod::Flat | ContentAddressMethod::Text => {
            let mut hasher = Hasher::new(algorithm);
            std::fs::File::open(path)
                .and_then(|mut file| std::io::copy(&mut file, &mut hasher))
                .context(|| format!("cannot read '{}'", path.display()))?;
            hasher.finish()
        }
    };
    Ok(Contents { ca: ContentAddress { method, hash }, nar_hash, nar_size })
}

/// Writes the NAR of what is added. Where only the bytes of a file are hashed, it is no executable in the store, as
/// nothing would vouch for that (Nix restores such files from their bytes, too).
fn dump(path: &Path, method: ContentAddressMethod, writer: &mut dyn Write) -> CliResult {
    if method == ContentAddressMethod::NixArchive {
        nars3_nar::dump(path, writer, &DumpOptions::default())?;
        return Ok(());
    }
    let reading = || format!("cannot read '{}'", path.display());
    if !std::fs::symlink_metadata(path).context(reading)?.is_file() {
        return Err(CliError::new(format!(
            "'{}' is not a regular file, as --mode {method} needs",
            path.display()
        )));
    }
    let file = std::fs::File::open(path).context(reading)?;
    let size = file.metadata().context(reading)?.len();
    let mut encoder = Encoder::new(writer);
    encoder.regular_from(false, size, file)?;
    encoder.finish()?;
    Ok(())
}

/// Hashes and counts what is written.
struct Counted {
    hasher: Hasher,
    size: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends the contents. They were read once to be hashed; if they change meanwhile, the store notices the NarHash.
async fn add(
    store: &dyn Store,
    info: PathInfo,
    path: std::path::PathBuf,
    method: ContentAddressMethod,
) -> CliResult {
    let nar = NarStream::from_blocking(move |writer| {
        dump(&path, method, writer).map_err(|error| StoreError::Backend {
            store: "the file system".to_owned(),
            action: format!("read '{}'", path.display()),
            source: error.to_string().into(),
        })
    });
    let staged = store.stage(info, nar, StageOptions::default()).await?;
    store.publish(vec![staged]).await.map_err(|error| {
        let is_reference = matches!(error, StoreError::MissingReference { .. });
        let error = CliError::from(error);
        if is_reference { error.hint("add or copy the references to the store first") } else { error }
    })
}

fn default_name(path: &Path) -> CliResult<String> {
    let absolute =
        std::path::absolute(path).context(|| format!("cannot make '{}' absolute", path.display()))?;
    absolute
        .file_name()
        .and_then(|name| name.to_str())
        .map(str::to_owned)
        .ok_or_else(|| CliError::new(format!("'{}' gives no name for a store path", path.display())))
        .hint(|| "say which with --name".to_owned())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> CliResult<T> + Send + 'static) -> CliResult<T> {
    tokio::task::spawn_blocking(work).await?
}
