//! The kinds that hold up a worker. Each async fn is one task type; the plain function that it
//! names in the truth file is the one to blame.

use std::fs::File;
use std::hint::black_box;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{channel, Sender};
use std::time::{Duration, Instant};

use flate2::write::DeflateEncoder;
use flate2::Compression;

use tokio::sync::oneshot;

use crate::specimen::{named_thread, Specimen};

pub async fn cpu(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("spin", || spin(zoo.block));
    }
}

pub async fn sort(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("sort_numbers", || sort_numbers(zoo.block));
    }
}

pub async fn bcrypt(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("hash_password", || hash_password(zoo.block));
    }
}

pub async fn deflate(zoo: Specimen) {
    let text = b"a line that repeats itself, more or less, many times over\n".repeat(2000);
    while zoo.pause().await {
        zoo.blocked("compress_text", || compress_text(&text, zoo.block));
    }
}

pub async fn json(zoo: Specimen) {
    let row = "{\"name\":\"somebody\",\"numbers\":[1,2.5,3e9],\"on\":true}";
    let document = format!("[{}]", vec![row; 500].join(","));
    while zoo.pause().await {
        zoo.blocked("parse_document", || parse_document(&document, zoo.block));
    }
}

pub async fn thread_sleep(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("take_a_nap", || take_a_nap(zoo.block));
    }
}

pub async fn file_fsync(zoo: Specimen) {
    let path = zoo.dir.join(format!("zoo-{}.fsync", std::process::id()));
    while zoo.pause().await {
        zoo.blocked("save_safely", || save_safely(&path, zoo.block));
    }
    let _ = std::fs::remove_file(path);
}

pub async fn pipe(zoo: Specimen) {
    let (mut reader, writer) = pipe_writer(zoo.block);
    while zoo.pause().await {
        zoo.blocked("read_answer", || read_answer(&mut reader, &writer));
    }
}

pub async fn child(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("run_command", || run_command(zoo.block));
    }
}

/// Six async fns deep.
pub async fn deep_await(zoo: Specimen) {
    while zoo.pause().await {
        first_of_many(&zoo).await;
    }
}

/// Another executor, which parks the thread until its own future is ready.
pub async fn block_on(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("wait_for_future", || wait_for_future(zoo.block));
    }
}

/// In the root future of `block_on`, not in a task.
pub async fn root(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("wait_in_root", || wait_in_root(zoo.block));
    }
}

fn spin(block: Duration) -> u64 {
    let begin = Instant::now();
    let mut state: u64 = 88_172_645_463_325_252;
    while begin.elapsed() < block {
        for _ in 0..1000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        black_box(state);
    }
    state
}

fn sort_numbers(block: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < block {
        let mut numbers: Vec<u64> = (0..5000).map(|n| n * 7919 % 10_007).collect();
        numbers.sort();
        black_box(numbers);
    }
}

fn hash_password(block: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < block {
        black_box(bcrypt::hash("a password", 5).expect("a hash"));
    }
}

fn compress_text(text: &[u8], block: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < block {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("a vector takes all");
        black_box(encoder.finish().expect("a vector takes all"));
    }
}

fn parse_document(document: &str, block: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < block {
        let value: serde_json::Value = serde_json::from_str(document).expect("our own JSON");
        black_box(value);
    }
}

/// Optimised it is no more than a jump, and leaves no frame.
#[inline(never)]
fn take_a_nap(block: Duration) {
    std::thread::sleep(block);
}

async fn first_of_many(zoo: &Specimen) {
    second_of_many(zoo).await;
}

async fn second_of_many(zoo: &Specimen) {
    tokio::task::yield_now().await;
    third_of_many(zoo).await;
}

async fn third_of_many(zoo: &Specimen) {
    fourth_of_many(zoo).await;
    tokio::task::yield_now().await;
}

async fn fourth_of_many(zoo: &Specimen) {
    fifth_of_many(zoo).await;
}

async fn fifth_of_many(zoo: &Specimen) {
    last_of_many(zoo).await;
}

async fn last_of_many(zoo: &Specimen) {
    zoo.blocked("last_of_many", || std::thread::sleep(zoo.block));
}

fn wait_for_future(block: Duration) {
    let (tell, told) = oneshot::channel();
    named_thread("future-maker", move || {
        std::thread::sleep(block);
        let _ = tell.send(());
    });
    pollster::block_on(told).expect("a thread that tells");
}

fn wait_in_root(block: Duration) {
    std::thread::sleep(block);
}

fn save_safely(path: &Path, block: Duration) {
    let begin = Instant::now();
    let text = [b'x'; 64 << 10];
    while begin.elapsed() < block {
        let mut file = File::create(path).expect("a writable directory");
        file.write_all(&text).and_then(|()| file.sync_all()).expect("room for a file");
    }
}

fn read_answer(reader: &mut PipeReader, ask: &Sender<()>) {
    let mut answer = [0; 1];
    ask.send(()).expect("a thread that answers");
    reader.read_exact(&mut answer).expect("an answer");
}

fn run_command(block: Duration) {
    let seconds = format!("{:.3}", block.as_secs_f64());
    Command::new("sleep").arg(seconds).status().expect("a child process");
}

/// A pipe, and a thread that writes one byte to it, `block` after it was asked.
fn pipe_writer(block: Duration) -> (PipeReader, Sender<()>) {
    let (reader, mut writer): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
    let (ask, asked) = channel();
    named_thread("pipe-writer", move || {
        for () in asked {
            std::thread::sleep(block);
            if writer.write_all(b"!").is_err() {
                return;
            }
        }
    });
    (reader, ask)
}
