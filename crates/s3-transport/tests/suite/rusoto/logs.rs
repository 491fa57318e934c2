//! rusoto logs whole requests, secrets included. Here all that anybody logs is listened to, at the finest level.

use std::sync::{Arc, Mutex};

use nars3_s3::{CredentialSource, Environment, StaticKeys};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::settings;
use crate::support::{Answer, Scripted, traced_by};

/// All that is logged by way of `log`, which rusoto uses.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<u8>>>);

impl Ear {
    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().extend_from_slice(line.as_bytes());
    }

    fn flush(&self) {}
}

#[test]
fn no_secret_is_logged_at_any_level() {
    let ear = Ear::default();
    log::set_boxed_logger(Box::new(ear.clone())).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let keys = StaticKeys::new("AKIDLOGGED", "the-very-secret-key", Some("the-session-token".to_owned()));
    let environment = Environment::of_process().with_credentials(CredentialSource::Static(keys));
    let server = Scripted::start(|request| match request.method.as_str() {
        "PUT" => Answer::new(200, "").with("etag", "\"e\""),
        _ => Answer::error(403, "SignatureDoesNotMatch"),
    });
    let traced = traced_by(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = nars3_s3::open(&settings(&server), &environment).await.unwrap();
            store.put(&Path::from("key"), "body".into()).await.unwrap();
            let error = store.get(&Path::from("key")).await.unwrap_err();
            tracing::error!(%error, ?error, ?store, ?environment, "all that can be printed");
        });
    });
    log::info!("the logger listens");
    let heard = format!("{}{traced}", ear.heard());
    assert!(heard.contains("PutObject") && heard.contains("the logger listens"), "{heard}");
    let token = server.requests()[0].header("x-amz-security-token").map(str::to_owned);
    assert_eq!(token.as_deref(), Some("the-session-token"), "what must not be heard has been sent");
    let signatures = server.requests();
    let signatures =
        signatures.iter().filter_map(|request| request.header("authorization")?.rsplit_once('='));
    for secret in ["the-very-secret-key", "the-session-token", "AWS4-HMAC-SHA256"]
        .into_iter()
        .chain(signatures.map(|(_, signature)| signature).collect::<Vec<_>>())
    {
        assert!(!heard.contains(secret), "{secret} in: {heard}");
    }
}
