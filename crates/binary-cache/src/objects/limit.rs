//! What cannot be uploaded within the limits is refused before anything is sent.

/// S3's limits for a part, and for the number of them: 48.8 TiB together.
const LARGEST_PART: u64 = 5 << 30;
const MOST_PARTS: u64 = 10_000;

/// Why a file cannot be uploaded. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadLimit {
    /// Its parts are larger than the memory for uploads (`Limits::upload_memory`).
    #[error("{size} bytes go in parts of {needed} bytes, and uploads may hold {budget} bytes of memory")]
    Memory {
        /// Bytes of the file.
        size: u64,
        /// The memory that one part takes, in bytes.
        needed: u64,
        /// The memory that uploads may hold together, in bytes.
        budget: u64,
    },
    /// It goes in one request, as the settings want it, and is larger than the memory for uploads.
    #[error("{size} bytes are to go in one request, and uploads may hold {budget} bytes of memory")]
    Whole {
        /// Bytes of the file, and of the memory that it takes.
        size: u64,
        /// The memory that uploads may hold together, in bytes.
        budget: u64,
    },
    /// S3 has no objects of that size.
    #[error("{size} bytes are more than the {largest} that an object of S3 may have")]
    Size {
        /// Bytes of the file.
        size: u64,
        /// The most that an object may have.
        largest: u64,
    },
}

/// Whether a file of `size` bytes fits, in parts of `part` bytes, with `budget` bytes of memory.
///
/// # Errors
/// If it does not.
pub(super) fn check(size: u64, part: u64, budget: u64) -> Result<(), UploadLimit> {
    if part > LARGEST_PART {
        return Err(UploadLimit::Size { size, largest: LARGEST_PART * MOST_PARTS });
    }
    let needed = part.min(size);
    if needed > budget {
        return Err(UploadLimit::Memory { size, needed, budget });
    }
    Ok(())
}

/// Whether a file of `size` bytes fits into one request, with `budget` bytes of memory.
///
/// # Errors
/// If it does not.
pub(super) fn check_whole(size: u64, budget: u64) -> Result<(), UploadLimit> {
    if size > budget { Err(UploadLimit::Whole { size, budget }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_fits_is_accepted() {
        assert_eq!(check(1 << 40, 105 * MIB, 105 * MIB), Ok(()));
        assert_eq!(check(MIB, 8 * MIB, 2 * MIB), Ok(()), "a part is never larger than the file");
        assert_eq!(check(LARGEST_PART * MOST_PARTS, LARGEST_PART, LARGEST_PART), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_memory_that_it_needs() {
        let refused = check(1 << 40, 105 * MIB, 48 * MIB).unwrap_err();
        assert_eq!(refused, UploadLimit::Memory { size: 1 << 40, needed: 105 * MIB, budget: 48 * MIB });
        assert!(matches!(check(1 << 60, 6 << 30, u64::MAX), Err(UploadLimit::Size { .. })));
    }
}
