//! What the outputs of content-addressed derivations were realised as, in the form of Nix 2.4 to 2.34
//! (`realisations/`) and in that of later versions (`build-trace-v2/`).

use nars3_store_api::StoreError;
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation};

use crate::BinaryCache;
use crate::objects::{Kind, Mode};

impl BinaryCache {
    /// The realisation of an output; `None` when there is none.
    pub async fn realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        let key = id.object_key();
        let Some(text) = self.objects.text(&key, self.objects.limits().document_size).await? else {
            return Ok(None);
        };
        let realisation = Realisation::from_json(&text).map_err(|error| self.objects.corrupt(&key, error))?;
        if realisation.id != *id {
            return Err(self.objects.corrupt(&key, format!("it is about '{}'", realisation.id)));
        }
        Ok(Some(realisation))
    }

    /// Stores a realisation, replacing one that is there.
    pub async fn put_realisation(&self, realisation: &Realisation) -> Result<(), StoreError> {
        self.put_trace(&realisation.id.object_key(), realisation.to_json()).await
    }

    /// The build trace entry of an output; `None` when there is none.
    pub async fn build_trace(&self, key: &BuildTraceKey) -> Result<Option<BuildTraceEntry>, StoreError> {
        let object = key.object_key();
        let Some(text) = self.objects.text(&object, self.objects.limits().document_size).await? else {
            return Ok(None);
        };
        BuildTraceEntry::from_value_json(key.clone(), &text)
            .map(Some)
            .map_err(|error| self.objects.corrupt(&object, error))
    }

    /// Stores a build trace entry, replacing one that is there.
    pub async fn put_build_trace(&self, entry: &BuildTraceEntry) -> Result<(), StoreError> {
        let key = entry.key.object_key();
        let text =
            entry.value_json().map_err(|error| self.objects.failed(format!("write '{key}'"), error))?;
        self.put_trace(&key, text).await
    }

    async fn put_trace(&self, key: &str, text: String) -> Result<(), StoreError> {
        self.announce().await?;
        self.objects.put_document(key, text.into(), Kind::Realisation, Mode::Always).await.map(|_| ())
    }
}
