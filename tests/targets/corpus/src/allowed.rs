//! What only looks as if it held up a worker: many short polls, waits that yield, other threads.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::truth::now_ns;
use crate::Place;

pub fn start(place: Place, current: bool) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(yielding(place)),
        tokio::spawn(waiting(place)),
        tokio::spawn(in_the_pool(place)),
    ];
    tasks.extend(talkers(place));
    if !current {
        tasks.push(tokio::spawn(in_place(place)));
    }
    tasks
}

/// Four hundred polls of 40 us, one after the other: not one of 16 ms.
async fn yielding(place: Place) {
    while place.pause().await {
        let begin = now_ns();
        for _ in 0..400 {
            short_step(Duration::from_micros(40));
            tokio::task::yield_now().await;
        }
        place.truth.took("yielding", begin);
    }
}

#[inline(never)]
fn short_step(step: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < step {
        std::hint::spin_loop();
    }
}

async fn waiting(place: Place) {
    while place.pause().await {
        let begin = now_ns();
        tokio::time::sleep(Duration::from_millis(12)).await;
        place.truth.took("waiting", begin);
    }
}

async fn in_the_pool(place: Place) {
    while place.pause().await {
        let job = tokio::task::spawn_blocking(move || {
            let begin = now_ns();
            std::thread::sleep(Duration::from_millis(12));
            place.truth.took("in_the_pool", begin);
        });
        job.await.expect("a job that ends well");
    }
}

/// Two tasks that wake each other: in the LIFO slot, several polls of each in one tick.
fn talkers(place: Place) -> [JoinHandle<()>; 2] {
    let (there, from_here) = mpsc::channel(1);
    let (here, from_there) = mpsc::channel(1);
    [
        tokio::spawn(first_talker(place, there, from_there)),
        tokio::spawn(talker(place, here, from_here)),
    ]
}

async fn first_talker(place: Place, there: mpsc::Sender<u8>, mut answers: mpsc::Receiver<u8>) {
    while place.pause().await {
        let begin = now_ns();
        for _ in 0..4 {
            if there.send(1).await.is_err() || answers.recv().await.is_none() {
                return;
            }
            say_something(place);
        }
        place.truth.took("talkers", begin);
    }
}

async fn talker(place: Place, here: mpsc::Sender<u8>, mut calls: mpsc::Receiver<u8>) {
    while let Some(call) = calls.recv().await {
        say_something(place);
        if here.send(call).await.is_err() {
            return;
        }
    }
}

/// Where the machine is busy this may take longer than it should.
#[inline(never)]
fn say_something(place: Place) {
    let begin = now_ns();
    std::thread::sleep(Duration::from_millis(3));
    place.truth.took("say_something", begin);
}

/// So short that its thread is a worker again at once.
#[cfg(feature = "multi")]
async fn in_place(place: Place) {
    while Instant::now() < place.until {
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_micros(100)));
    }
}

#[cfg(not(feature = "multi"))]
async fn in_place(_place: Place) {}
