//! The same jobs done right: no worker is ever held up.

use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

use crate::handlers;
use crate::state::State;

const PIECE: usize = 1 << 20;

pub async fn hash(body: &[u8]) -> String {
    let body = body.to_vec();
    spawn_blocking(move || handlers::hash_password(&body)).await.expect("a hash")
}

pub async fn parse(state: &'static State) -> String {
    spawn_blocking(|| handlers::parse_report(&state.report)).await.expect("a count")
}

pub async fn compress(state: &'static State) -> String {
    spawn_blocking(|| handlers::compress_payload(&state.report)).await.expect("a size")
}

pub async fn read(state: &State) -> String {
    match read_catalogue(state).await {
        Ok(size) => format!("{size} bytes\n"),
        Err(error) => format!("no catalogue: {error}\n"),
    }
}

/// In pieces: even to free 24 MB in one go would hold up the worker.
async fn read_catalogue(state: &State) -> std::io::Result<usize> {
    let mut file = File::open(&state.catalogue).await?;
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    loop {
        match file.read(&mut piece).await? {
            0 => return Ok(size),
            read => size += read,
        }
    }
}

pub async fn dns(state: &State) -> String {
    let mut found = 0;
    for peer in &state.peers {
        found += tokio::net::lookup_host(peer).await.map_or(0, Iterator::count);
    }
    format!("{found} addresses\n")
}

pub async fn lock(state: &State) -> String {
    let mut cache = state.async_cache.lock().await;
    *cache.entry(1).or_default() += 1;
    format!("{} entries\n", cache.len())
}

pub async fn sleep() -> String {
    tokio::time::sleep(handlers::NAP).await;
    "rested\n".to_string()
}
