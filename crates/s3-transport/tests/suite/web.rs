//! Caches on web servers, as servers see us: who asks, where requests go, and what goes along.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nars3_s3::{Environment, StreamedBody, WebAccess, WebCache, WebPlace, open_web};
use nars3_store_url::{HttpSettings, StoreKind, StoreUrl};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::support::{Answer, Request, Scripted, run};

fn settings(url: &str) -> HttpSettings {
    let url: StoreUrl = url.parse().unwrap();
    let StoreKind::Http(mut settings) = url.kind else { panic!("{url}") };
    settings.transfer.retry_attempts = 3;
    settings.transfer.retry_delay = Duration::from_millis(1);
    settings
}

fn basic() -> WebAccess {
    WebAccess::Basic { user: "me".into(), password: "secret".into() }
}

async fn open(url: &str, access: &WebAccess) -> Arc<WebCache> {
    Arc::new(open_web(&settings(url), access, &Environment::of_process()).await.unwrap())
}

fn body(text: &str) -> Answer {
    Answer::new(200, text).with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT")
}

fn get(url: &str, access: &WebAccess, key: &str) -> Result<String, Error> {
    run(async {
        let store = open(url, access).await;
        let bytes = store.get(&Path::from(key)).await?.bytes().await?;
        Ok(String::from_utf8(bytes.into()).unwrap())
    })
}

/// `Basic` of `me:secret`.
const ME: &str = "Basic bWU6c2VjcmV0";

#[test]
fn each_request_says_who_asks() {
    let server = Scripted::start(|_| body("contents"));
    let url = format!("{}/some/cache", server.url());
    assert_eq!(get(&url, &basic(), "nar/x.nar").unwrap(), "contents");
    get(&url, &WebAccess::Bearer { token: "t0ken".into() }, "nix-cache-info").unwrap();
    get(&url, &WebAccess::Anonymous, "nix-cache-info").unwrap();
    run(async {
        let store = open(&url, &basic()).await;
        store.head(&Path::from("x.narinfo")).await.unwrap();
        store.put(&Path::from("x.narinfo"), PutPayload::from_static(b"new")).await.unwrap();
    });
    let seen: Vec<_> = server
        .requests()
        .iter()
        .map(|request| {
            let authorization = request.header("authorization").unwrap_or("none").to_owned();
            (request.method.clone(), request.target.clone(), authorization)
        })
        .collect();
    let row = |method: &str, key: &str, authorization: &str| {
        (method.to_owned(), format!("/some/cache/{key}"), authorization.to_owned())
    };
    let expected = [
        row("GET", "nar/x.nar", ME),
        row("GET", "nix-cache-info", "Bearer t0ken"),
        row("GET", "nix-cache-info", "none"),
        row("HEAD", "x.narinfo", ME),
        row("PUT", "x.narinfo", ME),
    ];
    assert_eq!(seen, expected);
    assert_eq!(server.requests().last().unwrap().body, b"new");
}

#[test]
fn credentials_stay_with_their_origin() {
    let other = Scripted::start(|_| body("from elsewhere"));
    let elsewhere = other.url();
    let server = Scripted::start(move |request| match request.target.as_str() {
        "/here" => Answer::new(302, "").with("location", "/cache/there"),
        "/cache/there" => body("from here"),
        "/cache/here" => Answer::new(307, "").with("location", "there?signature=x"),
        "/cache/there?signature=x" => body("signed"),
        _ => Answer::new(302, "").with("location", &format!("{elsewhere}/x")),
    });
    let url = format!("{}/cache", server.url());
    assert_eq!(get(&url, &basic(), "here").unwrap(), "signed");
    assert_eq!(get(&url, &basic(), "away").unwrap(), "from elsewhere");
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some(ME)));
    let seen = other.requests();
    assert_eq!((seen.len(), seen[0].target.as_str()), (1, "/x"));
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("cookie"), None);
}

#[test]
fn a_redirect_back_home_may_say_again_who_asks() {
    let server = Scripted::start(|request: &Request| match request.target.as_str() {
        "/a" => Answer::new(301, "").with("location", "/b"),
        _ => body(request.header("authorization").unwrap_or("none")),
    });
    assert_eq!(get(&server.url(), &basic(), "a").unwrap(), ME);
}

#[test]
fn redirects_end() {
    let circle = Scripted::start(|_| Answer::new(302, "").with("location", "/again"));
    assert!(get(&circle.url(), &basic(), "x").unwrap_err().to_string().contains("10 redirects"));
    for location in ["ftp://elsewhere.example/x", "file:///etc/passwd", "http://"] {
        let server = Scripted::start(move |_| Answer::new(302, "").with("location", location));
        let error = get(&server.url(), &basic(), "x").unwrap_err().to_string();
        assert!(error.contains("no place for a request"), "{location}: {error}");
    }
    // Nobody's password is sent because a server says so, nor printed.
    let server = Scripted::start(|request: &Request| match request.target.as_str() {
        "/x" => Answer::new(302, "")
            .with("location", &format!("http://u:hunter2@{}/y", request.header("host").unwrap())),
        _ => body(request.header("authorization").unwrap_or("none")),
    });
    assert_eq!(get(&server.url(), &WebAccess::Anonymous, "x").unwrap(), "none");
}

#[test]
fn a_body_follows_only_where_its_request_stays_the_same() {
    let server = Scripted::start(|request: &Request| match request.target.as_str() {
        "/moved" => Answer::new(308, "").with("location", "/target"),
        "/other" => Answer::new(302, "").with("location", "/target"),
        _ => Answer::new(201, ""),
    });
    run(async {
        let store = open(&server.url(), &basic()).await;
        store.put(&Path::from("moved"), PutPayload::from_static(b"body")).await.unwrap();
        store.put(&Path::from("other"), PutPayload::from_static(b"body")).await.unwrap_err();
    });
    let put: Vec<_> = server.requests().into_iter().filter(|request| request.target == "/target").collect();
    assert_eq!(put.len(), 1);
    assert_eq!((put[0].method.as_str(), put[0].body.as_slice()), ("PUT", b"body".as_slice()));
}

#[test]
fn failures_are_retried_and_refusals_are_told_apart() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let count = AtomicUsize::new(0);
    let server = Scripted::start(move |request: &Request| match request.target.as_str() {
        "/shaky" if count.fetch_add(1, Ordering::Relaxed) < 2 => Answer::new(503, "later"),
        "/shaky" => body("at last"),
        "/missing" => Answer::new(404, "no"),
        "/forbidden" => Answer::new(403, "no"),
        "/who" => Answer::new(401, "who are you"),
        _ => Answer::new(500, "broken"),
    });
    let get = |key| get(&server.url(), &WebAccess::Anonymous, key);
    assert_eq!(get("shaky").unwrap(), "at last");
    assert!(matches!(get("missing"), Err(Error::NotFound { .. })));
    assert!(matches!(get("forbidden"), Err(Error::PermissionDenied { .. })));
    assert!(matches!(get("who"), Err(Error::Unauthenticated { .. })));
    assert!(get("broken").is_err());
    let attempts = server.requests().iter().filter(|request| request.target == "/broken").count();
    assert_eq!(attempts, 3);
}

#[test]
fn a_part_is_asked_for_and_nothing_prints_a_password() {
    let server = Scripted::start(|request: &Request| {
        assert_eq!(request.header("range"), Some("bytes=2-4"));
        Answer::new(206, "cde")
            .with("content-range", "bytes 2-4/7")
            .with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT")
    });
    let url = server.url().replace("http://", "http://me:secret@");
    run(async {
        let store = open(&url, &basic()).await;
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(2..5)));
        let found = store.get_opts(&Path::from("x"), options).await.unwrap();
        assert_eq!(found.meta.size, 7);
        assert_eq!(found.bytes().await.unwrap(), "cde");
        assert!(!format!("{store:?} {store}").contains("secret"));
    });
    let error = get("http://me:secret@127.0.0.1:1", &basic(), "x").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[test]
fn urls_of_a_cache_lead_to_its_own_server_or_to_another() {
    run(async {
        let cache = open("http://me:secret@c.example:8080/some/cache", &basic()).await;
        let own = |url: &str| Some(WebPlace::Own(format!("http://c.example:8080{url}")));
        assert_eq!(cache.resolve("nar/x.nar?hash=y"), own("/some/cache/nar/x.nar?hash=y"));
        assert_eq!(cache.resolve("/nar/x.nar"), own("/nar/x.nar"));
        assert_eq!(cache.resolve("../other/x.nar#y"), own("/some/other/x.nar"));
        assert_eq!(cache.resolve("http://C.example:8080/nar/x%2Fy"), own("/nar/x%2Fy"));
        assert_eq!(cache.resolve("//u:p@c.example:8080/x"), own("/x"));
        for url in ["http://c.example/x", "https://c.example:8080/x", "//elsewhere.example:8080/x"] {
            assert!(matches!(cache.resolve(url), Some(WebPlace::Other(_))), "{url}");
            assert!(cache.object(url).is_err(), "{url}");
        }
        for url in ["file:///etc/passwd", "s3://bucket/x", "http://", "data:x"] {
            assert_eq!(cache.resolve(url), None, "{url}");
        }
    });
}

#[test]
fn an_object_is_asked_for_with_its_query_and_by_whom() {
    let server = Scripted::start(|request: &Request| match request.target.as_str() {
        "/nar/x%2Fy.nar?hash=a/b&c" => body("contents"),
        _ => Answer::new(404, ""),
    });
    run(async {
        let cache = open(&format!("{}/some/cache", server.url()), &basic()).await;
        let (store, place) = cache.object("/nar/x%2Fy.nar?hash=a/b&c").unwrap();
        assert_eq!(store.get(&place).await.unwrap().bytes().await.unwrap(), "contents");
        let (store, place) = cache.object("/nar/other?key=hunter2").unwrap();
        let error = store.get(&place).await.unwrap_err();
        assert!(!format!("{error} {error:?} {store:?}").contains("hunter2"), "{error:?}");
    });
    assert!(server.requests().iter().all(|request| request.header("authorization") == Some(ME)));
}

#[test]
fn a_streamed_body_is_made_anew_by_each_attempt() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let count = AtomicUsize::new(0);
    let server = Scripted::start(move |request: &Request| match request.target.as_str() {
        "/c/nar/x" if count.fetch_add(1, Ordering::Relaxed) == 0 => Answer::new(503, "later"),
        "/c/nar/x" => Answer::new(307, "").with("location", "/there"),
        _ => Answer::new(201, ""),
    });
    run(async {
        let cache = open(&format!("{}/c", server.url()), &basic()).await;
        let body =
            StreamedBody::new(6, || Box::pin(futures::stream::iter([Ok("abc".into()), Ok("def".into())])));
        let headers = Attributes::from_iter([(Attribute::ContentType, "application/x-nix-nar")]);
        cache.put_streamed(&Path::from("nar/x"), body, headers).await.unwrap();
    });
    let seen = server.requests();
    let targets: Vec<_> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/c/nar/x", "/c/nar/x", "/there"]);
    for request in &seen {
        assert_eq!((request.method.as_str(), request.body.as_slice()), ("PUT", b"abcdef".as_slice()));
        assert_eq!(request.header("content-type"), Some("application/x-nix-nar"));
        assert_eq!(request.header("authorization"), Some(ME));
    }
}

/// As long as the body moves, nothing stands still, however long the answer is in coming.
#[test]
fn a_streamed_body_may_take_longer_than_a_stall() {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 512;
    const STALL: Duration = Duration::from_millis(1_500);
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(PIECE as u32).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut settings = settings(&format!("http://{}/c", listener.local_addr().unwrap()));
        settings.transfer.stalled_download_timeout = Some(STALL);
        settings.transfer.retry_attempts = 1;
        let serving = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let (begun, mut read) = (Instant::now(), 0);
            let mut buffer = vec![0; PIECE];
            while read < PIECE * PIECES {
                read += connection.read(&mut buffer).await.unwrap();
                // At its pace, the whole takes twice as long as nothing may.
                let due = STALL * 2 * u32::try_from(read / PIECE).unwrap() / PIECES as u32;
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            }
            connection.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            // What the head was is still to come.
            while connection.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        });
        let cache = open_web(&settings, &basic(), &Environment::of_process()).await.unwrap();
        let body = StreamedBody::new((PIECE * PIECES) as u64, || {
            Box::pin(futures::stream::iter((0..PIECES).map(|_| Ok(vec![7; PIECE].into()))))
        });
        let begun = Instant::now();
        cache.put_streamed(&Path::from("nar/x"), body, Attributes::new()).await.unwrap();
        assert!(begun.elapsed() > STALL, "it was too fast to show anything");
        serving.abort();
    });
}

#[test]
fn writes_have_conditions_and_servers_without_them_are_told_apart() {
    let server = Scripted::start(|request: &Request| match request.target.as_str() {
        "/there" => Answer::new(412, "no"),
        "/simple" => Answer::new(501, "what is that"),
        _ => Answer::new(201, ""),
    });
    run(async {
        let cache = open(&server.url(), &basic()).await;
        let put = async |key: &str, mode: PutMode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            cache.put_opts(&Path::from(key), PutPayload::from_static(b"x"), options).await
        };
        let version = UpdateVersion { e_tag: Some("\"1\"".into()), version: None };
        put("new", PutMode::Create).await.unwrap();
        put("new", PutMode::Update(version.clone())).await.unwrap();
        assert!(matches!(put("there", PutMode::Create).await, Err(Error::AlreadyExists { .. })));
        assert!(matches!(put("there", PutMode::Update(version)).await, Err(Error::Precondition { .. })));
        assert!(matches!(put("simple", PutMode::Create).await, Err(Error::NotSupported { .. })));
        let nothing = UpdateVersion { e_tag: None, version: None };
        assert!(matches!(put("new", PutMode::Update(nothing)).await, Err(Error::NotSupported { .. })));
    });
    let seen = server.requests();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0].header("if-none-match"), Some("*"));
    assert_eq!((seen[1].header("if-match"), seen[1].header("if-none-match")), (Some("\"1\""), None));
}
