use super::*;
use bytes::Bytes;
use std::io::{self, Read, Write};

#[tokio::test]
async fn what_is_written_arrives_whole() {
    let data: Vec<u8> = (0..3 * CHUNK_SIZE + 17).map(|i| (i % 251) as u8).collect();
    let sent = data.clone();
    let stream = NarStream::from_blocking(move |writer| {
        writer.write_all(&sent).map_err(|source| StoreError::Backend {
            store: "test".into(),
            action: "write".into(),
            source: source.into(),
        })
    });
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        stream.into_reader().read_to_end(&mut all).map(|_| all)
    });
    assert_eq!(read.await.unwrap().unwrap(), data);
}

#[tokio::test]
async fn a_sender_that_vanishes_is_not_an_end() {
    let (mut sender, mut stream) = NarStream::channel();
    sender.send(Bytes::from_static(b"half")).await.unwrap();
    drop(sender);
    assert_eq!(stream.next().await.unwrap().unwrap(), "half");
    assert!(matches!(stream.next().await, Err(StoreError::NarInterrupted)));
}

#[tokio::test]
async fn a_producer_that_panics_is_not_an_end() {
    let mut stream = NarStream::from_blocking(|_| panic!("on purpose"));
    assert!(matches!(stream.next().await, Err(StoreError::NarInterrupted)));
}

#[tokio::test]
async fn the_producers_error_reaches_a_reader() {
    let stream = NarStream::from_blocking(|_| {
        Err(StoreError::Unsupported { store: "test".into(), operation: "produce" })
    });
    let result = tokio::task::spawn_blocking(move || stream.into_reader().read_to_end(&mut Vec::new()));
    let error = StoreError::from_carrier(result.await.unwrap().unwrap_err());
    assert!(matches!(error, Ok(StoreError::Unsupported { .. })));
}

fn write_all(writer: &mut NarWriter, bytes: &[u8]) -> Result<(), StoreError> {
    writer.write_all(bytes).map_err(|_| StoreError::NarInterrupted)
}

/// The bytes of a small stream, read by a thread that may block.
async fn read(stream: NarStream) -> io::Result<Vec<u8>> {
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        stream.into_reader().read_to_end(&mut all).map(|_| all)
    });
    read.await.unwrap()
}

#[tokio::test]
async fn a_small_nar_is_produced_by_the_thread_that_reads_it() {
    let producer = std::sync::Arc::new(std::sync::OnceLock::new());
    let seen = std::sync::Arc::clone(&producer);
    let stream = NarStream::from_blocking_sized(FITS_WHOLE, move |writer| {
        seen.set(std::thread::current().id()).unwrap();
        write_all(writer, b"first")?;
        writer.flush().unwrap();
        write_all(writer, &vec![7; FITS_WHOLE as usize - 5])
    });
    assert!(producer.get().is_none(), "nobody has asked yet");
    let reader = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        stream.into_reader().read_to_end(&mut all).unwrap();
        (std::thread::current().id(), all.len() as u64)
    });
    let (thread, length) = reader.await.unwrap();
    assert_eq!((producer.get(), length), (Some(&thread), FITS_WHOLE));
}

#[tokio::test]
async fn a_small_nar_is_produced_for_a_task_too() {
    let mut stream = NarStream::from_blocking_sized(5, |writer| write_all(writer, b"bytes"));
    assert_eq!(stream.next().await.unwrap().unwrap(), "bytes");
    assert!(stream.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_small_nar_that_grows_is_an_error_and_no_deadlock() {
    for excess in [1, CHUNK_SIZE, 9 * CHUNK_SIZE] {
        let bytes = vec![0; FITS_WHOLE as usize + excess];
        let stream = NarStream::from_blocking_sized(FITS_WHOLE, move |writer| write_all(writer, &bytes));
        assert!(read(stream).await.is_err(), "{excess}");
    }
}

#[tokio::test]
async fn a_small_nar_that_fails_or_panics_is_not_an_end() {
    let unsupported = || StoreError::Unsupported { store: "test".into(), operation: "produce" };
    let failing = NarStream::from_blocking_sized(9, move |writer| {
        write_all(writer, b"half")?;
        Err(unsupported())
    });
    let error = StoreError::from_carrier(read(failing).await.unwrap_err());
    assert!(matches!(error, Ok(StoreError::Unsupported { .. })));
    let panicking = NarStream::from_blocking_sized(9, |_| panic!("on purpose"));
    let error = StoreError::from_carrier(read(panicking).await.unwrap_err());
    assert!(matches!(error, Ok(StoreError::NarInterrupted)));
}

struct Refuser;

impl Inspector for Refuser {
    fn inspect(&mut self, _chunk: &[u8]) {}

    fn conclude(&mut self) -> Result<(), StoreError> {
        Err(StoreError::Unsupported { store: "test".into(), operation: "pass" })
    }
}

#[tokio::test]
async fn an_inspector_can_refuse_the_end() {
    let stream = NarStream::from_blocking(|writer| {
        let _ = writer.write_all(b"bytes");
        Ok(())
    });
    let mut stream = stream.inspected_by(Box::new(Refuser));
    assert_eq!(stream.next().await.unwrap().unwrap(), "bytes");
    assert!(stream.next().await.is_err());
}

#[tokio::test]
async fn a_producer_answers_for_one_hash_and_one_size() {
    let (hash, other) = (Hash::sha256([1; 32]), Hash::sha256([2; 32]));
    let (_sender, stream) = NarStream::channel();
    assert!(!stream.is_verified_as(&hash, 7));
    let stream = stream.verified_as(hash, 7);
    assert!(stream.is_verified_as(&hash, 7));
    assert!(!stream.is_verified_as(&hash, 8) && !stream.is_verified_as(&other, 7));
}

#[tokio::test]
async fn a_consumer_that_leaves_stops_the_producer() {
    let (mut sender, stream) = NarStream::channel();
    drop(stream);
    let error = sender.send(Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// Counts what it sees, and whether it was told of the end.
#[derive(Clone, Default)]
struct Seen(std::sync::Arc<std::sync::Mutex<(usize, bool)>>);

impl Inspector for Seen {
    fn inspect(&mut self, chunk: &[u8]) {
        self.0.lock().unwrap().0 += chunk.len();
    }

    fn conclude(&mut self) -> Result<(), StoreError> {
        self.0.lock().unwrap().1 = true;
        Ok(())
    }
}

/// What `blocking_for_each` gives, in order, and how it ends.
async fn for_each(stream: NarStream, most: usize) -> (Vec<u8>, Result<(), StoreError>) {
    let work = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        let ended = stream.blocking_for_each(|chunk| {
            all.extend_from_slice(chunk);
            let refused = StoreError::Unsupported { store: "test".into(), operation: "take more" };
            if all.len() > most { Err(refused) } else { Ok(()) }
        });
        (all, ended)
    });
    work.await.unwrap()
}

#[tokio::test]
async fn the_thread_that_takes_each_chunk_produces_them_large_or_small_in_their_order() {
    let large = 2 * FITS_WHOLE as usize;
    for (size, piece) in [(5, 1), (10_000, 3), (large, 100), (large, 10_000), (large, large)] {
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let (producer, sent) = (std::sync::Arc::new(std::sync::OnceLock::new()), data.clone());
        let thread = std::sync::Arc::clone(&producer);
        let seen = Seen::default();
        let stream = NarStream::from_blocking_sized(size as u64, move |writer| {
            thread.set(std::thread::current().id()).unwrap();
            // A small piece, a large one, a small one…
            sent.chunks(piece).enumerate().try_for_each(|(number, piece)| {
                piece
                    .chunks(if number % 2 == 0 { 1000 } else { piece.len() })
                    .try_for_each(|part| write_all(writer, part))
            })
        })
        .inspected_by(Box::new(seen.clone()));
        let own = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            stream
                .blocking_for_each(|chunk| {
                    all.extend_from_slice(chunk);
                    Ok(())
                })
                .unwrap();
            (std::thread::current().id(), all)
        });
        let (own, all) = own.await.unwrap();
        assert!(all == data, "{size} in pieces of {piece}");
        assert_eq!(producer.get(), Some(&own));
        assert_eq!(*seen.0.lock().unwrap(), (size, true));
    }
}

#[tokio::test]
async fn each_end_of_a_stream_that_is_given_chunk_by_chunk_tells_the_other() {
    let endless = || {
        NarStream::from_blocking_sized(u64::MAX, |writer| {
            loop {
                write_all(writer, &[7; 5000])?;
            }
        })
    };
    let (taken, ended) = for_each(endless(), 20_000).await;
    assert!(matches!(ended, Err(StoreError::Unsupported { .. })), "{ended:?}");
    assert_eq!(taken.len(), 25_000);
    let stubborn = NarStream::from_blocking_sized(u64::MAX, |writer| {
        // It does not hear that nobody wants more.
        (0..10).for_each(|_| drop(write_all(writer, &[7; 5000])));
        Ok(())
    });
    let (taken, ended) = for_each(stubborn, 1).await;
    assert!(matches!(ended, Err(StoreError::Unsupported { operation: "take more", .. })), "{ended:?}");
    assert_eq!(taken.len(), 5000, "nothing is taken after a refusal");
    let failing = |seen: Seen| {
        let stream = NarStream::from_blocking_sized(9, |writer| {
            write_all(writer, b"some")?;
            Err(StoreError::Unsupported { store: "test".into(), operation: "produce" })
        });
        stream.inspected_by(Box::new(seen))
    };
    let seen = Seen::default();
    let (_, ended) = for_each(failing(seen.clone()), 100).await;
    assert!(matches!(ended, Err(StoreError::Unsupported { operation: "produce", .. })), "{ended:?}");
    assert!(!seen.0.lock().unwrap().1, "it has not ended well");
    let (_, ended) = for_each(NarStream::from_blocking_sized(9, |_| panic!("on purpose")), 100).await;
    assert!(matches!(ended, Err(StoreError::NarInterrupted)), "{ended:?}");
    // One that has begun elsewhere goes on as it was.
    let begun = NarStream::from_blocking(|writer| write_all(writer, b"elsewhere"));
    let (taken, ended) = for_each(begun, 100).await;
    ended.unwrap();
    assert_eq!(taken, b"elsewhere");
}

#[tokio::test]
async fn a_thread_of_nobodys_may_ask_for_the_first_chunk() {
    let size = 2 * FITS_WHOLE as usize;
    let stream = NarStream::from_blocking_sized(size as u64, move |writer| write_all(writer, &vec![7; size]));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let read = stream.into_reader().read_to_end(&mut all).unwrap();
        sender.send(read).unwrap();
    });
    assert_eq!(receiver.await.unwrap(), size);
}
