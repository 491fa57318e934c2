//! What was measured on.

use std::fs::read_to_string;
use std::path::Path;

use anyhow::Result;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Nix;
use nars3_tests::server::find_minio;

/// Processor, memory, kernel and versions, as lines of a list.
pub(crate) fn describe(nix: &Nix) -> Result<Vec<String>> {
    let cpu_info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let gibibytes = kibibytes.unwrap_or(0_u64) >> 20;
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lines = vec![format!("{cores} × {model}, {gibibytes} GiB of memory, Linux {}", kernel.trim())];
    lines.push(Nars3::anonymous()?.run(["--version"])?.success()?);
    lines.push(nix.run("nix", ["--version"])?.success()?);
    lines.extend(find_minio().map(|binary| minio(&binary)));
    Ok(lines)
}

/// A build by `go install` does not know its version, but the directory that it is kept in does.
fn minio(binary: &Path) -> String {
    let directory = binary.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    match directory.as_deref().and_then(|name| name.strip_prefix("minio-")) {
        Some(version) => format!("MinIO {version}"),
        None => format!("MinIO at {}", binary.display()),
    }
}
