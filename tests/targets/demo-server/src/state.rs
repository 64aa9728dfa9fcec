//! What the handlers share: the documents they work on, and the two caches.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use crate::options::Options;

const REPORT_ROWS: usize = 20_000;
const CATALOGUE_BYTES: usize = 24 << 20;
const PEERS: usize = 2500;
/// How long a refresh holds a cache, and how long it lets go of it.
const REFRESH: Duration = Duration::from_millis(30);
const REST: Duration = Duration::from_millis(3);

pub type Cache = BTreeMap<u64, u64>;

pub struct State {
    /// JSON, about 2 MB.
    pub report: Vec<u8>,
    pub catalogue: PathBuf,
    pub peers: Vec<String>,
    pub cache: Mutex<Cache>,
    pub async_cache: tokio::sync::Mutex<Cache>,
}

impl State {
    pub fn new(options: &Options) -> std::io::Result<Self> {
        let catalogue = options.dir.join(format!("demo-server-{}.catalogue", std::process::id()));
        write_catalogue(&catalogue)?;
        Ok(State {
            report: make_report(),
            catalogue,
            peers: (0..PEERS).map(|n| format!("{}:{}", options.peer, 8000 + n)).collect(),
            cache: Mutex::default(),
            async_cache: tokio::sync::Mutex::default(),
        })
    }

    /// Both caches are refreshed again and again by someone who takes long about it: one by a
    /// thread that holds a `std::sync::Mutex`, the other by a task that holds Tokio's.
    pub fn start_refreshing(&'static self) {
        let refresher = std::thread::Builder::new().name("cache-refresher".to_string());
        refresher.spawn(move || refresh_cache(&self.cache)).expect("a thread");
        tokio::spawn(refresh_async_cache(&self.async_cache));
    }

    pub fn remove_files(&self) {
        let _ = std::fs::remove_file(&self.catalogue);
    }
}

fn refresh_cache(cache: &Mutex<Cache>) {
    loop {
        let mut held = cache.lock().unwrap();
        std::thread::sleep(REFRESH);
        held.clear();
        drop(held);
        std::thread::sleep(REST);
    }
}

async fn refresh_async_cache(cache: &tokio::sync::Mutex<Cache>) {
    loop {
        let mut held = cache.lock().await;
        tokio::time::sleep(REFRESH).await;
        held.clear();
        drop(held);
        tokio::time::sleep(REST).await;
    }
}

fn make_report() -> Vec<u8> {
    let mut text = String::from("{\"rows\":[");
    for row in 0..REPORT_ROWS {
        if row > 0 {
            text.push(',');
        }
        let amount = row * 7919 % 10_007;
        text.push_str(&format!(
            "{{\"id\":{row},\"customer\":\"customer {amount}\",\"amount\":{amount}.25,\
             \"tags\":[\"a\",\"b\",\"c\"],\"paid\":{}}}",
            amount % 2 == 0
        ));
    }
    text.push_str("]}");
    text.into_bytes()
}

/// On the disk, not only in the page cache, so that /read can make it leave the cache.
fn write_catalogue(path: &PathBuf) -> std::io::Result<()> {
    let line = b"an entry of the catalogue, one of very many of them, all of the same length\n";
    let block = line.repeat((1 << 20) / line.len());
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    for _ in 0..CATALOGUE_BYTES / block.len() {
        file.write_all(&block)?;
    }
    file.sync_all()
}
