//! Spawns tasks of known types, brings them into known states, and says what there is.
//!
//! One line on standard output when all of them are where they belong:
//!
//! ```text
//! {"pid":P,"workers":W,"queued":Q,"tasks":{"sleeper":[IDLE,READY,RUNNING,STUCK],...}}
//! ```
//!
//! With hogs (the default) every worker is held up by one task, and the last of these has spawned
//! `queued` tasks that wait behind it. With `--churn N` there are no hogs, but N tasks a second
//! that live for 10 ms, one after the other, beside those of the account.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{channel, Sender};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, Notify};

const QUEUED: usize = 50;
const POOL: usize = 4;
const JOBS: usize = 6;
const EVER: Duration = Duration::from_secs(3600);

async fn sleeper() {
    tokio::time::sleep(EVER).await;
}

async fn outer(bell: &'static Notify) {
    inner(bell).await;
}

async fn inner(bell: &'static Notify) {
    bell.notified().await;
}

async fn forgotten() {
    std::future::pending::<()>().await;
}

async fn waits<T>(answer: oneshot::Receiver<T>) -> Option<T> {
    answer.await.ok()
}

async fn boxed(bell: &'static Notify) {
    bell.notified().await;
    std::hint::black_box("boxed");
}

struct Timed<F>(Pin<Box<F>>);

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

async fn hog(spawn: usize, told: Sender<()>) {
    for number in 0..spawn {
        tokio::spawn(queued(number));
    }
    told.send(()).expect("main listens");
    loop {
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn queued(number: usize) {
    std::hint::black_box(number);
    tokio::task::yield_now().await;
}

async fn short_lived() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

async fn churn(per_second: u64) {
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    loop {
        pace.tick().await;
        for _ in 0..per_second.div_ceil(1000) {
            tokio::spawn(short_lived());
        }
    }
}

/// The idle ones; their account in the order of `HERD`.
fn spawn_herd(scale: usize, answers: &mut Vec<Box<dyn std::any::Any + Send>>) {
    let bell: &'static Notify = Box::leak(Box::new(Notify::new()));
    for _ in 0..40 * scale {
        tokio::spawn(sleeper());
    }
    for _ in 0..30 * scale {
        tokio::spawn(outer(bell));
    }
    for _ in 0..20 * scale {
        tokio::spawn(forgotten());
    }
    for _ in 0..3 * scale {
        let (sender, receiver) = oneshot::channel::<u64>();
        answers.push(Box::new(sender));
        tokio::spawn(waits(receiver));
    }
    for _ in 0..4 * scale {
        let (sender, receiver) = oneshot::channel::<String>();
        answers.push(Box::new(sender));
        tokio::spawn(waits(receiver));
    }
    for _ in 0..10 * scale {
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(boxed(bell));
        tokio::spawn(future);
    }
    for _ in 0..5 * scale {
        tokio::spawn(Timed(Box::pin(boxed(bell))));
    }
    for number in 0..7 * scale {
        tokio::spawn(async move {
            bell.notified().await;
            std::hint::black_box(number);
        });
    }
}

const HERD: [(&str, usize, bool); 8] = [
    ("sleeper", 40, false),
    ("outer", 30, false),
    ("forgotten", 20, true),
    ("waits u64", 3, false),
    ("waits String", 4, false),
    ("boxed", 10, false),
    ("Timed", 5, false),
    ("spawn_herd", 7, false),
];

#[derive(Clone)]
struct Options {
    current_thread: bool,
    workers: usize,
    churn: u64,
    scale: usize,
}

fn options() -> Options {
    let mut options = Options { current_thread: false, workers: 2, churn: 0, scale: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|value| value.parse().ok()).expect("a number");
        match word.as_str() {
            "--current-thread" => options.current_thread = true,
            "--workers" => options.workers = number(),
            "--churn" => options.churn = number() as u64,
            "--scale" => options.scale = number(),
            _ => panic!("herd: {word}?"),
        }
    }
    options
}

fn runtime(options: &Options) -> Runtime {
    let mut builder = if options.current_thread {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.worker_threads(options.workers).max_blocking_threads(POOL).enable_all();
    builder.build().expect("a runtime")
}

fn say(options: &Options) {
    let mut tasks: Vec<String> = HERD
        .iter()
        .map(|&(kind, count, stuck)| {
            let count = count * options.scale;
            format!("\"{kind}\":[{count},0,0,{}]", if stuck { count } else { 0 })
        })
        .collect();
    let hogs = if options.current_thread { 1 } else { options.workers };
    if options.churn == 0 {
        tasks.push(format!("\"hog\":[0,0,{hogs},0]"));
        tasks.push(format!("\"queued\":[0,{QUEUED},0,0]"));
    }
    println!(
        "{{\"pid\":{},\"workers\":{hogs},\"queued\":{QUEUED},\"pool\":[{POOL},0,{}],\"tasks\":{{{}}}}}",
        std::process::id(),
        JOBS - POOL,
        tasks.join(",")
    );
}

fn main() {
    let options = options();
    let runtime = runtime(&options);
    let mut answers = Vec::new();
    let settle = Duration::from_millis(300);
    for _ in 0..JOBS {
        runtime.spawn_blocking(|| std::thread::sleep(EVER));
    }
    if options.current_thread {
        runtime.block_on(async {
            spawn_herd(options.scale, &mut answers);
            tokio::time::sleep(settle).await;
            let (told, listens) = channel();
            let account = options.clone();
            std::thread::spawn(move || {
                listens.recv().expect("a hog");
                say(&account);
            });
            tokio::spawn(hog(QUEUED, told));
            std::future::pending::<()>().await;
        });
    }
    let _entered = runtime.enter();
    spawn_herd(options.scale, &mut answers);
    std::thread::sleep(settle);
    let (told, listens) = channel();
    if options.churn > 0 {
        tokio::spawn(churn(options.churn));
        std::thread::sleep(settle);
    } else {
        for left in (0..options.workers).rev() {
            tokio::spawn(hog(if left == 0 { QUEUED } else { 0 }, told.clone()));
            listens.recv().expect("a hog");
        }
    }
    say(&options);
    std::thread::sleep(EVER);
}
