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
