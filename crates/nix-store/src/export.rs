//! Giving a NAR out: from the files to the stream, hashing what passes.

use std::io::{self, Write};

use nars3_nar::DumpOptions;
use nars3_narinfo::PathInfo;
use nars3_store_api::{NarWriter, StoreError};
use nars3_store_path::Hasher;

use crate::error::backend_error;
use crate::layout::Layout;

/// Writes the NAR of a valid path to `writer`. A path that changed since it was registered, or that is not there any
/// more, is an error, so that its NAR never counts as complete.
pub(crate) fn export(layout: &Layout, info: &PathInfo, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
    let path = layout.real_path(&info.path);
    let mut writer =
        HashingWriter { inner: writer, hasher: Hasher::new(info.nar_hash.algorithm()), count: 0 };
    if let Err(error) = nars3_nar::dump(&path, &mut writer, &DumpOptions::default()) {
        let gone = matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
        return Err(if gone {
            let location = path.display().to_string();
            StoreError::NarGone { store: layout.to_string(), path: info.path.clone(), location }
        } else {
            backend_error(layout, format!("read '{}'", path.display()), error)
        });
    }
    // Size 0 stands in old databases: not known.
    if info.nar_size != 0 && writer.count != info.nar_size {
        return Err(StoreError::NarSizeMismatch {
            store: layout.to_string(),
            path: info.path.clone(),
            expected: info.nar_size,
            actual: writer.count,
        });
    }
    let actual = writer.hasher.finish();
    if actual != info.nar_hash {
        return Err(StoreError::NarHashMismatch {
            store: layout.to_string(),
            path: info.path.clone(),
            expected: info.nar_hash,
            actual,
        });
    }
    Ok(())
}

struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    count: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
