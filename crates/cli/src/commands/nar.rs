//! `nars3 nar …`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nars3_nar::{
    DecodeError, Decoder, DumpOptions, Event, FormatError, FormatErrorKind, Limits, ListingError,
    RestoreOptions, Trailing,
};

use super::listing::{ListingStyle, Shape, print_line, print_listing};
use crate::args::{LimitsArgs, NarArgs, NarCommand};
use crate::error::{CliError, CliResult, ResultExt};
use crate::output::Output;
use crate::terminal::is_watched;

pub(crate) fn run(args: NarArgs) -> CliResult {
    match args.command {
        NarCommand::DumpPath { path, limits, case_hack } => dump(&path, limits, case_hack),
        NarCommand::Restore { path, limits, case_hack } => restore(&path, limits, case_hack),
        NarCommand::Ls { nar, path, long, recursive, directory, json, limits } => ls(
            &nar,
            &path,
            ListingStyle { long, recursive, directory, json, watched: is_watched() },
            limits.limits(),
        ),
        NarCommand::Cat { nar, path, limits } => {
            let mut output = Output::stdout();
            print_file(open(&nar)?, &nar, &path, limits.limits(), &mut output)?;
            output.finish()
        }
    }
}

fn dump(path: &Path, limits: LimitsArgs, case_hack: bool) -> CliResult {
    let mut output = Output::stdout();
    let options = DumpOptions { limits: limits.limits(), case_hack };
    nars3_nar::dump(path, &mut output, &options)?;
    output.finish()
}

fn restore(path: &Path, limits: LimitsArgs, case_hack: bool) -> CliResult {
    // What follows the NAR does not matter, as to `nix-store --restore`.
    let options = RestoreOptions {
        limits: limits.limits(),
        case_hack,
        trailing: Trailing::Ignore,
        ..RestoreOptions::default()
    };
    nars3_nar::restore_atomic(&mut std::io::stdin().lock(), path, &options)?;
    Ok(())
}

fn ls(nar: &Path, path: &OsStr, style: ListingStyle, limits: Limits) -> CliResult {
    let file = open(nar)?;
    if style.json {
        let listing = nars3_nar::list(file, limits).map_err(|error| match error {
            ListingError::Format(error) => not_a_nar(error, nar),
            error @ ListingError::NotUtf8 { .. } => in_context(error, "list", nar)
                .hint("JSON cannot hold such a name; without --json they are printed as they are"),
            error => in_context(error, "list", nar),
        })?;
        // A listing is JSON, so its names are text.
        let text = path.to_str().ok_or_else(|| missing(path, nar))?;
        return print_listing(&listing, text.trim_matches('/'), text, style);
    }
    let mut output = Output::stdout();
    print_entries(file, nar, path, style, limits, &mut output)?;
    output.finish()
}

fn open(nar: &Path) -> CliResult<File> {
    File::open(nar).context(|| format!("cannot open '{}'", nar.display()))
}

/// Prints what is at `path` of a NAR as it streams by. Names and targets are bytes here: unlike in JSON, they need not
/// be UTF-8.
fn print_entries(
    reader: impl Read,
    nar: &Path,
    path: &OsStr,
    style: ListingStyle,
    limits: Limits,
    output: &mut impl Write,
) -> CliResult {
    let inside = in_nar(path);
    let mut decoder = Decoder::with_limits(reader, limits);
    let mut found = false;
    let mut list_contents = false;
    while let Some(event) = decoder.next().map_err(|error| unreadable(error, nar))? {
        let shape = match &event {
            Event::Regular { executable, size, .. } => {
                Shape::Regular { executable: *executable, size: *size }
            }
            Event::Directory => Shape::Directory,
            Event::Symlink { target } => Shape::Symlink { target },
            Event::Entry { .. } | Event::EndDirectory => continue,
        };
        let here = decoder.path();
        if here == inside {
            found = true;
            list_contents = matches!(shape, Shape::Directory) && !style.directory;
            if !list_contents {
                print_line(output, shape, name_in(path), style)?;
            }
        } else if list_contents
            && let Some(below) = below(&here, &inside)
            && (style.recursive || !below.contains(&b'/'))
        {
            print_line(output, shape, &[b"./", below].concat(), style)?;
        }
    }
    decoder.finish().map_err(|error| unreadable(error, nar))?;
    if found { Ok(()) } else { Err(missing(path, nar)) }
}

/// Prints the regular file at `path` of a NAR as it streams by. The rest of the NAR is read as well, so that a damaged
/// one is noticed.
fn print_file(
    reader: impl Read,
    nar: &Path,
    path: &OsStr,
    limits: Limits,
    output: &mut impl Write,
) -> CliResult {
    let inside = in_nar(path);
    let mut decoder = Decoder::with_limits(reader, limits);
    let mut found = false;
    while let Some(event) = decoder.next().map_err(|error| unreadable(error, nar))? {
        let other = match event {
            Event::Regular { .. } => None,
            Event::Directory => Some("directory"),
            Event::Symlink { .. } => Some("symlink"),
            Event::Entry { .. } | Event::EndDirectory => continue,
        };
        if decoder.path() != inside {
            continue;
        }
        if let Some(other) = other {
            let message =
                format!("'{}' in '{}' is not a regular file but a {other}", path.display(), nar.display());
            return Err(CliError::new(message));
        }
        found = true;
        std::io::copy(&mut decoder.contents(), output)
            .context(|| format!("cannot print '{}' in '{}'", path.display(), nar.display()))?;
    }
    decoder.finish().map_err(|error| unreadable(error, nar))?;
    if found { Ok(()) } else { Err(missing(path, nar)) }
}

/// How the node at a path that was asked for is called.
fn name_in(path: &OsStr) -> &[u8] {
    let mut name = path.as_bytes();
    while let Some(shorter) = name.strip_suffix(b"/") {
        name = shorter;
    }
    if name.is_empty() { b"/" } else { name }
}

/// A path as the person typed it in the form that events have it: without superfluous slashes.
fn in_nar(path: &OsStr) -> Vec<u8> {
    let names: Vec<_> = path.as_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
    names.join(&b'/')
}

/// What comes after `directory` in `path`, if it lies in there.
fn below<'p>(path: &'p [u8], directory: &[u8]) -> Option<&'p [u8]> {
    if directory.is_empty() { Some(path) } else { path.strip_prefix(directory)?.strip_prefix(b"/") }
}

fn missing(path: &OsStr, nar: &Path) -> CliError {
    CliError::new(format!("'{}' does not exist in '{}'", path.display(), nar.display()))
}

fn unreadable(error: DecodeError, nar: &Path) -> CliError {
    match error {
        DecodeError::Format(error) => not_a_nar(error, nar),
        error => in_context(error, "read", nar),
    }
}

fn not_a_nar(error: FormatError, nar: &Path) -> CliError {
    let compressed = error.kind == FormatErrorKind::NotAnArchive;
    let error = in_context(error, "read", nar);
    if !compressed {
        return error;
    }
    error.hint("a compressed NAR must be decompressed first, for example with 'zstd -d' or 'xz -d'")
}

fn in_context(error: impl Into<anyhow::Error>, action: &str, nar: &Path) -> CliError {
    error.into().context(format!("cannot {action} '{}'", nar.display())).into()
}

#[cfg(test)]
mod tests {
    use nars3_nar::Encoder;

    use super::*;

    const PLAIN: ListingStyle =
        ListingStyle { long: false, recursive: false, directory: false, json: false, watched: false };

    /// A tree in which a name and a symlink target are not UTF-8.
    fn sample() -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        encoder.directory().unwrap();
        encoder.entry(b"bin").unwrap();
        encoder.directory().unwrap();
        encoder.entry(b"run").unwrap();
        encoder.regular_from(true, 4, &b"#!sh"[..]).unwrap();
        encoder.end_directory().unwrap();
        encoder.entry(b"bin2").unwrap();
        encoder.symlink(b"\xfe").unwrap();
        encoder.entry(b"\xff").unwrap();
        encoder.regular_from(false, 3, &b"odd"[..]).unwrap();
        encoder.end_directory().unwrap();
        encoder.finish().unwrap()
    }

    fn listed(path: &str, style: ListingStyle) -> CliResult<Vec<u8>> {
        let mut output = Vec::new();
        // A slice cannot seek, as a pipe cannot.
        print_entries(
            sample().as_slice(),
            Path::new("x.nar"),
            OsStr::new(path),
            style,
            Limits::nix(),
            &mut output,
        )?;
        Ok(output)
    }

    fn printed(nar: &[u8], path: &(impl AsRef<OsStr> + ?Sized)) -> CliResult<Vec<u8>> {
        let mut output = Vec::new();
        print_file(nar, Path::new("x.nar"), path.as_ref(), Limits::nix(), &mut output)?;
        Ok(output)
    }

    #[test]
    fn a_file_is_printed_whatever_the_names_beside_it() {
        assert_eq!(printed(&sample(), "/bin/run").unwrap(), b"#!sh");
        assert_eq!(printed(&sample(), "bin//run/").unwrap(), b"#!sh");
        assert_eq!(printed(&sample(), OsStr::from_bytes(b"\xff")).unwrap(), b"odd");
        for (path, message) in [
            ("/bin", "'/bin' in 'x.nar' is not a regular file but a directory"),
            ("/bin2", "'/bin2' in 'x.nar' is not a regular file but a symlink"),
            ("/bin/ru", "'/bin/ru' does not exist in 'x.nar'"),
            ("/bin/run/x", "'/bin/run/x' does not exist in 'x.nar'"),
        ] {
            assert_eq!(printed(&sample(), path).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn names_are_listed_as_the_bytes_they_are() {
        assert_eq!(listed("/", PLAIN).unwrap(), b"./bin\n./bin2\n./\xff\n");
        let all = ListingStyle { recursive: true, long: true, ..PLAIN };
        let lines: [&[u8]; 4] = [
            b"dr-xr-xr-x                    0 ./bin\n",
            b"-r-xr-xr-x                    4 ./bin/run\n",
            b"lrwxrwxrwx                    0 ./bin2 -> \xfe\n",
            b"-r--r--r--                    3 ./\xff\n",
        ];
        assert_eq!(listed("", all).unwrap(), lines.concat());
        assert_eq!(listed("/bin", PLAIN).unwrap(), b"./run\n");
        assert_eq!(listed("/bin/", ListingStyle { directory: true, ..PLAIN }).unwrap(), b"/bin\n");
        assert_eq!(listed("/", ListingStyle { directory: true, ..PLAIN }).unwrap(), b"/\n");
        assert_eq!(listed("bin/run", PLAIN).unwrap(), b"bin/run\n");
        assert!(listed("/bi", PLAIN).is_err());
        let on_a_terminal = ListingStyle { watched: true, ..PLAIN };
        assert_eq!(listed("/", on_a_terminal).unwrap(), b"./bin\n./bin2\n./\\xff\n");
    }

    #[test]
    fn only_what_is_no_archive_at_all_may_be_compressed() {
        let hint = "a compressed NAR must be decompressed first";
        let zstd = printed(b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00", "/x").unwrap_err().to_string();
        assert!(zstd.contains(hint), "{zstd}");
        let nar = sample();
        let trailing = [nar.as_slice(), b"more"].concat();
        for damaged in [&nar[..nar.len() - 8], &trailing, &[]] {
            let error = printed(damaged, "/bin/run").unwrap_err().to_string();
            assert!(error.starts_with("cannot read 'x.nar'") && !error.contains(hint), "{error}");
        }
    }
}
