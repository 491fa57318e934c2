//! The S3 server behind `cargo xtask demo`: in this process, on a loopback port, its data gone when it ends.
//!
//! Prints one line, `endpoint access-key secret-key region bucket`, and serves until its standard input is closed.

#![expect(clippy::print_stdout, reason = "the line on standard output is how the caller learns the port")]

use std::io::Read;

use anyhow::Result;
use nars3_tests::server::{S3Server, ServerKind, Settings};

fn main() -> Result<()> {
    let settings = Settings { region: "us-east-1".to_owned(), ..Settings::default() };
    let server = S3Server::start_kind(&ServerKind::Embedded, &settings)?;
    let bucket = server.bucket("demo-cache")?;
    let Settings { region, access_key, secret_key, .. } = server.settings();
    println!("{} {access_key} {secret_key} {region} {}", server.endpoint(), bucket.name());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
