//! Connecting to Unix sockets, wherever they are.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Bytes that the name of a socket may have; the system allows a few more.
const NAME_LIMIT: usize = 100;

/// Connects to the socket `name` in `directory`: through a descriptor of the directory where the whole name is too
/// long for the system, because a chroot store may be deep down.
pub(crate) fn connect(directory: &Path, name: &Path) -> io::Result<UnixStream> {
    let direct = directory.join(name);
    if direct.as_os_str().len() < NAME_LIMIT {
        return UnixStream::connect(direct);
    }
    let open = File::open(directory)?;
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())).join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_deep_socket_is_reached() {
        let directory = tempfile::tempdir().expect("tempdir");
        let deep = directory.path().join("deep/".repeat(40));
        std::fs::create_dir_all(&deep).expect("mkdir");
        let open = File::open(&deep).expect("open");
        let _listener =
            UnixListener::bind(format!("/proc/self/fd/{}/socket", open.as_raw_fd())).expect("bind");
        connect(&deep, Path::new("socket")).expect("connected");
    }
}
