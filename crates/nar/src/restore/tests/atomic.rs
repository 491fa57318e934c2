//! All of a tree or nothing.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn atomically(place: &Place, nar: &[u8], canonical: bool) -> Result<RestoreSummary, RestoreError> {
    let options = RestoreOptions { canonical, ..RestoreOptions::default() };
    restore_atomic(&mut &*nar, &place.target(), &options)
}

#[test]
fn a_whole_nar_gets_its_name() {
    for canonical in [false, true] {
        let place = Place::new();
        atomically(&place, &sample(), canonical).unwrap();
        place.check_outside();
        let mut again = Vec::new();
        dump(&place.target(), &mut again, &DumpOptions::default()).unwrap();
        assert_eq!(again, sample());
        if canonical {
            assert_eq!(place.target().metadata().unwrap().permissions().mode() & 0o777, 0o555);
        }
        crate::remove_tree(&place.target()).unwrap();
        place.check_outside();
    }
}

#[test]
fn of_a_nar_that_ends_anywhere_nothing_stays() {
    let place = Place::new();
    let nar = sample();
    for length in (0..nar.len()).step_by(8) {
        let error = atomically(&place, &nar[..length], true).unwrap_err();
        assert!(matches!(error, RestoreError::Format(_)), "{error}");
        assert!(place.target().symlink_metadata().is_err());
        place.check_outside();
    }
}

#[test]
fn what_is_there_already_stays_and_the_reader_is_not_asked() {
    struct Untouched;
    impl Read for Untouched {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("nothing was to be read");
        }
    }
    let place = Place::new();
    // Even a symlink that leads nowhere is something.
    symlink("nowhere", place.target()).unwrap();
    let error = restore_atomic(&mut Untouched, &place.target(), &RestoreOptions::default()).unwrap_err();
    assert!(matches!(error, RestoreError::TargetExists { ref path } if *path == place.target()), "{error}");
    assert_eq!(fs::read_link(place.target()).unwrap(), PathBuf::from("nowhere"));
    place.check_outside();
}

/// Somebody else was faster: his file is kept.
#[test]
fn what_appears_meanwhile_stays_as_well() {
    struct Meanwhile<'a>(&'a [u8], PathBuf);
    impl Read for Meanwhile<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            fs::write(&self.1, "his").unwrap();
            self.0.read(buffer)
        }
    }
    let place = Place::new();
    let nar = sample();
    let mut reader = Meanwhile(&nar, place.target());
    let error = restore_atomic(&mut reader, &place.target(), &RestoreOptions::default()).unwrap_err();
    assert!(matches!(error, RestoreError::TargetExists { ref path } if *path == place.target()), "{error}");
    assert_eq!(fs::read(place.target()).unwrap(), b"his");
    place.check_outside();
}

#[test]
fn errors_name_the_target_and_not_the_name_that_it_has_meanwhile() {
    let place = Place::new();
    let mut encoder = Encoder::with_limits(Vec::new(), Limits::none());
    encoder.directory().unwrap();
    // Longer than any file system takes, and than the limits allow.
    encoder.entry(&[b'n'; 300]).unwrap();
    encoder.symlink(b"x").unwrap();
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();
    let options = RestoreOptions { limits: Limits::none(), ..RestoreOptions::default() };
    let error = restore_atomic(&mut nar.as_slice(), &place.target(), &options).unwrap_err();
    let RestoreError::File { path, .. } = error else { panic!("{error}") };
    assert_eq!(path, place.target().join("n".repeat(300)));
    place.check_outside();
}
