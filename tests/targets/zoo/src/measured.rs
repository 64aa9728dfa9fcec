//! Loops to be measured with and without a profiler: how often they went round in `block`.

use std::io::{Read, Write};
use std::time::Instant;

use crate::specimen::Specimen;
use crate::truth::now_ns;

/// The shortest polls there are, one after the other.
pub async fn polls(zoo: Specimen) {
    while zoo.pause().await {
        let (begin, started, mut polls) = (now_ns(), Instant::now(), 0u64);
        while started.elapsed() < zoo.block {
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
            polls += 64;
        }
        zoo.took(&format!("polls_{polls}"), begin);
    }
}

/// A byte to another thread and back, inside a poll: each round switches both threads out and in.
pub async fn ping_pong(zoo: Specimen) {
    let (mut ours, mut their_answers) = std::io::pipe().expect("a pipe");
    let (mut theirs, mut our_calls) = std::io::pipe().expect("a pipe");
    let answer = move || {
        let mut byte = [0; 1];
        while theirs.read_exact(&mut byte).is_ok() && their_answers.write_all(&byte).is_ok() {}
    };
    std::thread::Builder::new().name("pong".to_string()).spawn(answer).expect("a thread");
    while zoo.pause().await {
        let (begin, started, mut rounds) = (now_ns(), Instant::now(), 0u64);
        let mut byte = [0; 1];
        while started.elapsed() < zoo.block {
            our_calls.write_all(&byte).expect("a thread that answers");
            ours.read_exact(&mut byte).expect("an answer");
            rounds += 1;
        }
        zoo.took(&format!("rounds_{rounds}"), begin);
    }
}
