//! `nars3 add`: a file or directory becomes a content-addressed store path, without Nix.

use std::collections::BTreeSet;
use std::path::Path;

use nars3_nar::DumpOptions;
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

    let flat = args.mode == "flat";
    let path = args.path.clone();
    let contents = blocking(move || measure(&path, flat)).await?;
    let store_path = store_path_for(store.store_dir(), &name, &contents.ca, &references, false)
        .context(|| format!("'{}' cannot have a store path named '{name}'", args.path.display()))?;
    let printed = store.store_dir().print(&store_path);
    let known = store.valid_paths(std::slice::from_ref(&store_path)).await?;
    if !args.dry_run && known.is_empty() {
        let mut info = PathInfo::new(store_path, contents.nar_hash, contents.nar_size);
        info.references = references;
        info.ca = Some(contents.ca);
        add(store.as_ref(), info, args.path).await?;
    }
    print_line(printed)
}

/// What the contents of a file or directory say about its store path.
struct Contents {
    ca: ContentAddress,
    nar_hash: Hash,
    nar_size: u64,
}

fn measure(path: &Path, flat: bool) -> CliResult<Contents> {
    let (nar_hash, nar_size) = nars3_nar::hash_path(path, &DumpOptions::default())?;
    let ca = if flat {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let metadata =
            std::fs::symlink_metadata(path).context(|| format!("cannot read '{}'", path.display()))?;
        if !metadata.is_file() {
            return Err(CliError::new(format!(
                "'{}' is not a regular file, as --mode flat needs",
                path.display()
            )));
        }
        std::fs::File::open(path)
            .and_then(|mut file| std::io::copy(&mut file, &mut hasher))
            .context(|| format!("cannot read '{}'", path.display()))?;
        ContentAddress { method: ContentAddressMethod::Flat, hash: hasher.finish() }
    } else {
        ContentAddress { method: ContentAddressMethod::NixArchive, hash: nar_hash }
    };
    Ok(Contents { ca, nar_hash, nar_size })
}

/// Sends the contents. They were read once to be hashed; if they change meanwhile, the store notices the NarHash.
async fn add(store: &dyn Store, info: PathInfo, path: std::path::PathBuf) -> CliResult {
    let nar = NarStream::from_blocking(move |writer| {
        nars3_nar::dump(&path, writer, &DumpOptions::default()).map_err(|error| StoreError::Backend {
            store: "the file system".to_owned(),
            action: format!("read '{}'", path.display()),
            source: error.into(),
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
