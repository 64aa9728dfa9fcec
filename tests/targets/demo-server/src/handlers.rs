//! The handlers that block a worker. Nobody should write them like this.

use std::fs::File;
use std::io::Write;
use std::net::ToSocketAddrs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use flate2::write::GzEncoder;
use flate2::Compression;

use crate::state::{Cache, State};

pub const NAP: Duration = Duration::from_millis(20);
const BCRYPT_COST: u32 = 10;

pub async fn hash(body: &[u8]) -> String {
    hash_password(body)
}

pub async fn parse(state: &State) -> String {
    parse_report(&state.report)
}

pub async fn compress(state: &State) -> String {
    compress_payload(&state.report)
}

pub async fn read(state: &State) -> String {
    read_config(&state.catalogue)
}

pub async fn dns(state: &State) -> String {
    let found: usize = state.peers.iter().map(|peer| resolve_peer(peer)).sum();
    format!("{found} addresses\n")
}

pub async fn lock(state: &State) -> String {
    update_cache(&state.cache)
}

pub async fn sleep() -> String {
    take_a_nap();
    "rested\n".to_string()
}

pub fn hash_password(password: &[u8]) -> String {
    match bcrypt::hash(password, BCRYPT_COST) {
        Ok(hash) => format!("{hash}\n"),
        Err(error) => format!("no hash: {error}\n"),
    }
}

pub fn parse_report(report: &[u8]) -> String {
    let report: serde_json::Value = serde_json::from_slice(report).expect("our own JSON");
    let rows = report["rows"].as_array().map_or(0, Vec::len);
    format!("{rows} rows\n")
}

pub fn compress_payload(payload: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(payload).and_then(|()| encoder.finish());
    format!("{} bytes\n", written.map_or(0, |bytes| bytes.len()))
}

fn read_config(path: &Path) -> String {
    forget_cached(path);
    match std::fs::read(path) {
        Ok(bytes) => format!("{} bytes\n", bytes.len()),
        Err(error) => format!("no catalogue: {error}\n"),
    }
}

fn resolve_peer(peer: &str) -> usize {
    peer.to_socket_addrs().map_or(0, Iterator::count)
}

fn update_cache(cache: &Mutex<Cache>) -> String {
    let mut cache = cache.lock().unwrap();
    *cache.entry(1).or_default() += 1;
    format!("{} entries\n", cache.len())
}

fn take_a_nap() {
    std::thread::sleep(NAP);
}

/// Makes the next read a cold one, as after a deployment. In a file system without a disk
/// (tmpfs) this does nothing, and /read is copying only.
fn forget_cached(path: &Path) {
    if let Ok(file) = File::open(path) {
        // SAFETY: the descriptor is open for the length of the call, which touches no memory.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
}
