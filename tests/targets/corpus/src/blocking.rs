//! What holds up a worker. Each async fn is one task type; the plain function that it names in the
//! truth file is the one to blame. No two are the same code: the compiler would make them one.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Place;

const BLOCK: Duration = Duration::from_millis(12);

pub fn start(place: Place) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(thread_sleep(place)),
        tokio::spawn(mpsc_recv(place)),
        tokio::spawn(mutex(place)),
        tokio::spawn(cpu(place)),
        tokio::spawn(sort(place)),
        tokio::spawn(method(place)),
        tokio::spawn(generic(place, |numbers: &[u64]| count_primes(numbers))),
        tokio::spawn(boxed(place)),
        tokio::spawn(tokio::task::unconstrained(unconstrained(place))),
    ]
}

async fn thread_sleep(place: Place) {
    while place.pause().await {
        place.truth.blocked("thread_sleep", "take_a_nap", || take_a_nap(BLOCK));
    }
}

/// One call in tail position: an optimiser makes it a jump.
#[inline(never)]
fn take_a_nap(block: Duration) {
    std::thread::sleep(block);
}

async fn mpsc_recv(place: Place) {
    let (ask, answers) = answering_thread();
    while place.pause().await {
        place.truth.blocked("mpsc_recv", "wait_for_answer", || wait_for_answer(&ask, &answers));
    }
}

#[inline(never)]
fn wait_for_answer(ask: &Sender<()>, answers: &Receiver<u64>) -> u64 {
    ask.send(()).expect("a thread that answers");
    answers.recv().expect("an answer")
}

fn answering_thread() -> (Sender<()>, Receiver<u64>) {
    let (ask, asked) = channel();
    let (answer, answers) = channel();
    std::thread::spawn(move || {
        for () in asked {
            std::thread::sleep(BLOCK);
            if answer.send(1).is_err() {
                return;
            }
        }
    });
    (ask, answers)
}

async fn mutex(place: Place) {
    let lock = Arc::new(Mutex::new(0));
    let (ask, asked) = channel();
    let (held, holds) = channel();
    let theirs = lock.clone();
    std::thread::spawn(move || keep_lock(&theirs, &asked, &held));
    while place.pause().await {
        ask.send(()).expect("a thread that holds the lock");
        holds.recv().expect("the lock to be held");
        place.truth.blocked("mutex", "take_lock", || take_lock(&lock));
    }
}

#[inline(never)]
fn take_lock(lock: &Mutex<u64>) -> u64 {
    let mut count = lock.lock().expect("a lock that nobody poisons");
    *count += 1;
    *count
}

#[inline(never)]
fn keep_lock(lock: &Mutex<u64>, asked: &Receiver<()>, held: &Sender<()>) {
    for () in asked {
        let guard = lock.lock();
        let _ = held.send(());
        std::thread::sleep(BLOCK);
        drop(guard);
    }
}

async fn cpu(place: Place) {
    while place.pause().await {
        place.truth.blocked("cpu", "spin", || spin(BLOCK));
    }
}

#[inline(never)]
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

async fn sort(place: Place) {
    while place.pause().await {
        place.truth.blocked("sort", "sort_numbers", sort_numbers);
    }
}

#[inline(never)]
fn sort_numbers() {
    let begin = Instant::now();
    while begin.elapsed() < BLOCK {
        let mut numbers: Vec<u64> = (0..5000).map(|n| n * 7919 % 10_007).collect();
        numbers.sort();
        black_box(numbers);
    }
}

struct Report {
    lines: Vec<String>,
}

impl Report {
    #[inline(never)]
    fn render(&self) -> usize {
        let begin = Instant::now();
        let mut bytes = 0;
        while begin.elapsed() < BLOCK {
            let page: Vec<String> = self.lines.iter().map(|line| line.to_uppercase()).collect();
            bytes += black_box(page.join("\n")).len();
        }
        bytes
    }
}

async fn method(place: Place) {
    let report = Report { lines: vec!["a line of a report".repeat(4); 100] };
    while place.pause().await {
        place.truth.blocked("method", "render", || report.render());
    }
}

/// A task whose type has a closure of the caller's in it.
async fn generic<F: Fn(&[u64]) -> usize>(place: Place, work: F) {
    let numbers: Vec<u64> = (0..200).collect();
    while place.pause().await {
        place.truth.blocked("generic", "count_primes", || work(&numbers));
    }
}

#[inline(never)]
fn count_primes(numbers: &[u64]) -> usize {
    let begin = Instant::now();
    let mut found = 0;
    while begin.elapsed() < BLOCK {
        found += numbers.iter().filter(|n| (2..**n).all(|d| *n % d != 0)).count();
        black_box(found);
    }
    found
}

fn boxed(place: Place) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        while place.pause().await {
            place.truth.blocked("boxed", "nap_in_a_box", || nap_in_a_box(BLOCK));
        }
    })
}

#[inline(never)]
fn nap_in_a_box(block: Duration) {
    std::thread::sleep(block + Duration::from_millis(1));
}

/// Without a budget, as a parked worker is.
async fn unconstrained(place: Place) {
    while place.pause().await {
        place.truth.blocked("unconstrained", "nap_unconstrained", || nap_unconstrained(BLOCK));
    }
}

#[inline(never)]
fn nap_unconstrained(block: Duration) {
    std::thread::sleep(block + Duration::from_millis(2));
}
