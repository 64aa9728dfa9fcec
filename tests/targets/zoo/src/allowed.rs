//! The kinds that take as long, and hold up no worker.

use std::sync::Arc;
use std::time::Instant;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::specimen::Specimen;
use crate::truth::now_ns;

/// The truth is told by the pool thread that slept.
pub async fn spawn_blocking(zoo: Specimen) {
    let zoo = Arc::new(zoo);
    while zoo.pause().await {
        let theirs = zoo.clone();
        let job = tokio::task::spawn_blocking(move || {
            let begin = now_ns();
            nap_in_the_pool(&theirs);
            theirs.took("nap_in_the_pool", begin);
        });
        job.await.expect("a job that ends well");
    }
}

/// Another thread becomes the worker meanwhile.
pub async fn block_in_place(zoo: Specimen) {
    while zoo.pause().await {
        tokio::task::block_in_place(|| {
            let begin = now_ns();
            nap_in_place(&zoo);
            zoo.took("nap_in_place", begin);
        });
    }
}

pub async fn tokio_fs(zoo: Specimen) {
    let path = zoo.dir.join(format!("zoo-{}.async", std::process::id()));
    let text = vec![b'x'; 64 << 10];
    while zoo.pause().await {
        let begin = now_ns();
        let started = Instant::now();
        while started.elapsed() < zoo.block {
            let mut file = File::create(&path).await.expect("a writable directory");
            file.write_all(&text).await.expect("room for a file");
            file.sync_all().await.expect("room for a file");
        }
        zoo.took("tokio_fs", begin);
    }
    let _ = tokio::fs::remove_file(path).await;
}

/// Busy all the time, but in many short polls.
pub async fn yield_now(zoo: Specimen) {
    while zoo.pause().await {
        let begin = now_ns();
        let started = Instant::now();
        while started.elapsed() < zoo.block {
            short_step();
            tokio::task::yield_now().await;
        }
        zoo.took("yield_now", begin);
    }
}

pub async fn timer(zoo: Specimen) {
    while zoo.pause().await {
        let begin = now_ns();
        tokio::time::sleep(zoo.block).await;
        zoo.took("timer", begin);
    }
}

/// A hundred timers at once, and each of them wakes the task.
pub async fn timers(zoo: Specimen) {
    while zoo.pause().await {
        let begin = now_ns();
        let sleep = |n: u32| tokio::time::sleep(zoo.block * (n % 10 + 1) / 10);
        let mut tasks: Vec<_> = (0..100u32).map(|n| tokio::spawn(sleep(n))).collect();
        for task in tasks.drain(..) {
            task.await.expect("a timer");
        }
        zoo.took("timers", begin);
    }
}

fn nap_in_the_pool(zoo: &Specimen) {
    std::thread::sleep(zoo.block);
}

fn nap_in_place(zoo: &Specimen) {
    std::thread::sleep(zoo.block);
}

fn short_step() {
    let begin = Instant::now();
    while begin.elapsed().as_micros() < 200 {
        std::hint::spin_loop();
    }
}
