//! What the outputs of content-addressed derivations were realised as, in the form of Nix 2.4 to 2.34
//! (`realisations/`) and in that of later versions (`build-trace-v2/`).

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use nars3_store_api::StoreError;
use nars3_store_path::{
    AnyRealisation, BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, RealisedOutput,
};

use crate::BinaryCache;
use crate::objects::{Kind, Mode, Written};
use crate::publish::{ATTEMPTS, PAUSE};
use crate::signatures::ensure_readable;

impl BinaryCache {
    /// The realisation of an output; `None` when there is none.
    pub async fn realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        let key = id.object_key();
        let text = self.objects.text(&key, self.objects.limits().document_size).await?;
        text.map(|text| self.parse_realisation(id, &key, &text)).transpose()
    }

    /// Stores a realisation, replacing one that is there.
    pub async fn put_realisation(&self, realisation: &Realisation) -> Result<(), StoreError> {
        self.put_trace(&realisation.id.object_key(), realisation.to_json()).await
    }

    /// The build trace entry of an output; `None` when there is none.
    pub async fn build_trace(&self, key: &BuildTraceKey) -> Result<Option<BuildTraceEntry>, StoreError> {
        let object = key.object_key();
        let text = self.objects.text(&object, self.objects.limits().document_size).await?;
        text.map(|text| self.parse_build_trace(key, &object, &text)).transpose()
    }

    /// Stores a build trace entry, replacing one that is there.
    pub async fn put_build_trace(&self, entry: &BuildTraceEntry) -> Result<(), StoreError> {
        let key = entry.key.object_key();
        let text =
            entry.value_json().map_err(|error| self.objects.failed(format!("write '{key}'"), error))?;
        self.put_trace(&key, text).await
    }

    /// The outputs whose realisations are in the cache, in both forms. Keys that are no realisation's are passed over.
    pub fn realised_outputs(&self) -> BoxStream<'_, Result<RealisedOutput, StoreError>> {
        let both =
            self.objects.objects_below("realisations").chain(self.objects.objects_below("build-trace-v2"));
        both.try_filter_map(async |(key, _)| Ok(RealisedOutput::of_object_key(&key))).boxed()
    }

    /// All realisations of the cache, in both forms, as many at once as the limits allow. One that vanishes meanwhile is left
    /// out; one that cannot be read or understood comes as its error.
    pub(crate) fn all_realisations(
        &self,
    ) -> impl Stream<Item = Result<(RealisedOutput, Result<AnyRealisation, StoreError>), StoreError>> + Send + '_
    {
        let at_once = self.objects.limits().concurrent_requests.max(1);
        self.realised_outputs()
            .map_ok(async |output| {
                let realisation = self.read_listed_realisation(&output).await.transpose();
                Ok(realisation.map(|realisation| (output, realisation)))
            })
            .try_buffer_unordered(at_once)
            .try_filter_map(async |found| Ok(found))
    }

    async fn read_listed_realisation(
        &self,
        output: &RealisedOutput,
    ) -> Result<Option<AnyRealisation>, StoreError> {
        let key = output.object_key();
        let limit = self.objects.limits().document_size;
        let Some(document) = self.objects.listed_document(&key, limit).await? else { return Ok(None) };
        self.understand_realisation(output, &key, &document.body).map(Some)
    }

    /// Adds a realisation, in its form, signed by the keys of this cache in addition. One that is here already gets the
    /// signatures that it lacks, by a conditional write: of two writers neither loses any.
    pub(crate) async fn merge_realisation(&self, mut theirs: AnyRealisation) -> Result<bool, StoreError> {
        let output = theirs.output();
        let key = output.object_key();
        let refused = |reason: String| self.objects.failed(format!("write '{key}'"), reason);
        let out_path = theirs.out_path().clone();
        if !self.not_valid_anywhere(vec![out_path.clone()]).await?.is_empty() {
            return Err(refused(format!("it names '{out_path}', which is not valid here")));
        }
        for secret in &self.secret_keys {
            theirs.sign(secret);
        }
        self.announce().await?;
        for attempt in 1..=ATTEMPTS {
            let mut mode = Mode::IfAbsent;
            if let Some((ours, unchanged)) = self.read_realisation(&output).await? {
                if *ours.out_path() != out_path {
                    let here = ours.out_path();
                    return Err(refused(format!(
                        "it names '{out_path}', and the one that is there '{here}'"
                    )));
                }
                if theirs.signatures().is_subset(ours.signatures()) {
                    return Ok(false);
                }
                theirs.signatures_mut().extend(ours.signatures().iter().cloned());
                mode = unchanged;
            }
            ensure_readable(theirs.signatures().len()).map_err(|error| refused(error.to_string()))?;
            let body = self.print_realisation(&key, &theirs)?;
            if self.objects.put_document(&key, body, Kind::Realisation, mode).await? == Written::Now {
                return Ok(true);
            }
            tokio::time::sleep(PAUSE * attempt).await;
        }
        Err(refused("it changes all the time".to_owned()))
    }

    /// A realisation and the condition under which it is still the same.
    pub(crate) async fn read_realisation(
        &self,
        output: &RealisedOutput,
    ) -> Result<Option<(AnyRealisation, Mode)>, StoreError> {
        let key = output.object_key();
        let Some(document) = self.objects.document(&key, self.objects.limits().document_size).await? else {
            return Ok(None);
        };
        let form = self.understand_realisation(output, &key, &document.body)?;
        Ok(Some((form, Mode::IfUnchanged(document.version))))
    }

    fn understand_realisation(
        &self,
        output: &RealisedOutput,
        key: &str,
        body: &[u8],
    ) -> Result<AnyRealisation, StoreError> {
        let text = std::str::from_utf8(body).map_err(|error| self.objects.corrupt(key, error))?;
        match output {
            RealisedOutput::ByHash(id) => self.parse_realisation(id, key, text).map(AnyRealisation::ByHash),
            RealisedOutput::ByPath(id) => self.parse_build_trace(id, key, text).map(AnyRealisation::ByPath),
        }
    }

    fn print_realisation(&self, key: &str, realisation: &AnyRealisation) -> Result<Bytes, StoreError> {
        match realisation {
            AnyRealisation::ByHash(realisation) => Ok(realisation.to_json().into()),
            AnyRealisation::ByPath(entry) => {
                let text = entry.value_json();
                text.map(Bytes::from).map_err(|error| self.objects.failed(format!("write '{key}'"), error))
            }
        }
    }

    fn parse_realisation(&self, id: &DrvOutput, key: &str, text: &str) -> Result<Realisation, StoreError> {
        let realisation = Realisation::from_json(text).map_err(|error| self.objects.corrupt(key, error))?;
        if realisation.id != *id {
            return Err(self.objects.corrupt(key, format!("it is about '{}'", realisation.id)));
        }
        Ok(realisation)
    }

    fn parse_build_trace(
        &self,
        id: &BuildTraceKey,
        key: &str,
        text: &str,
    ) -> Result<BuildTraceEntry, StoreError> {
        BuildTraceEntry::from_value_json(id.clone(), text).map_err(|error| self.objects.corrupt(key, error))
    }

    async fn put_trace(&self, key: &str, text: String) -> Result<(), StoreError> {
        self.announce().await?;
        self.objects.put_document(key, text.into(), Kind::Realisation, Mode::Always).await.map(|_| ())
    }
}
