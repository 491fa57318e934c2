//! Where the file of a NAR is: in the cache or, for whoever follows there, on another server.

use std::ops::Range;
use std::sync::Arc;

use nars3_store_api::StoreError;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::BinaryCache;
use crate::known::Entry;
use crate::location::{LocationError, is_absolute, without_query};
use crate::objects::Download;

/// A place to read the file of a NAR from.
#[derive(Debug)]
pub(crate) enum NarPlace {
    /// In the cache, under this key, or at this URL of its web server.
    Here(String),
    /// On another server.
    Elsewhere {
        store: Arc<dyn ObjectStore>,
        path: Path,
        /// Its URL, as messages may show it.
        name: String,
    },
}

impl NarPlace {
    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Here(place) => without_query(place),
            Self::Elsewhere { name, .. } => name,
        }
    }
}

impl BinaryCache {
    /// Where the `URL` of a narinfo leads. All that reads NARs asks here, so that all follow it, or nobody does.
    pub(crate) async fn locate_nar(&self, entry: &Entry) -> Result<NarPlace, StoreError> {
        match (self.objects.location(&entry.url), &self.elsewhere) {
            (Err(LocationError::OtherOrigin { url }), Some(elsewhere)) if is_absolute(&url) => {
                let name = without_query(&url).to_owned();
                let opened = elsewhere.open(&url).await;
                let (store, path) =
                    opened.map_err(|error| self.objects.failed(format!("read '{name}'"), error))?;
                Ok(NarPlace::Elsewhere { store, path, name })
            }
            _ => self.nar_place_of(entry).map(NarPlace::Here),
        }
    }

    /// What is at a place, or `range` of it; `None` if nothing is.
    pub(crate) async fn download_nar(
        &self,
        place: &NarPlace,
        range: Option<Range<u64>>,
    ) -> Result<Option<Download>, StoreError> {
        match place {
            NarPlace::Here(key) => self.objects.download(key, range).await,
            NarPlace::Elsewhere { store, path, name } => {
                self.objects.download_from(Arc::clone(store), path.clone(), name, range).await
            }
        }
    }
}
