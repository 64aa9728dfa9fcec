//! One task that does the same thing over and over until the time is up.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::options::Options;
use crate::truth::{now_ns, Truth};
use crate::{allowed, blocking, locks, measured, memory, net};

pub struct Specimen {
    kind: &'static str,
    truth: &'static Truth,
    until: Instant,
    pause: Duration,
    id: Arc<TaskId>,
    pub block: Duration,
    pub dir: PathBuf,
}

/// Tokio's id of the task; 0 = none.
#[derive(Default)]
pub struct TaskId(AtomicU64);

impl TaskId {
    /// Ids are not public in the older versions that this program is built with, but the debug
    /// form of a handle shows them in all: `JoinHandle { id: Id(7) }`.
    pub fn learn(&self, task: &impl Debug) {
        let shown = format!("{task:?}");
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        self.0.store(digits.parse().unwrap_or(0), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Specimen {
    pub fn new(
        kind: &'static str,
        truth: &'static Truth,
        until: Instant,
        options: &Options,
    ) -> Self {
        Specimen {
            kind,
            truth,
            until,
            pause: options.pause,
            id: Arc::default(),
            block: options.block,
            dir: options.dir.clone(),
        }
    }

    pub fn id(&self) -> Arc<TaskId> {
        self.id.clone()
    }

    pub fn spawn(self) -> JoinHandle<()> {
        match self.kind {
            "cpu" => tokio::spawn(blocking::cpu(self)),
            "sort" => tokio::spawn(blocking::sort(self)),
            "bcrypt" => tokio::spawn(blocking::bcrypt(self)),
            "deflate" => tokio::spawn(blocking::deflate(self)),
            "json" => tokio::spawn(blocking::json(self)),
            "thread_sleep" => tokio::spawn(blocking::thread_sleep(self)),
            "mutex" => tokio::spawn(locks::mutex(self)),
            "file_fsync" => tokio::spawn(blocking::file_fsync(self)),
            "pipe" => tokio::spawn(blocking::pipe(self)),
            "child" => tokio::spawn(blocking::child(self)),
            "deep_await" => tokio::spawn(blocking::deep_await(self)),
            "block_on" => tokio::spawn(blocking::block_on(self)),
            "rwlock" => tokio::spawn(locks::rwlock(self)),
            "condvar" => tokio::spawn(locks::condvar(self)),
            "mpsc_recv" => tokio::spawn(locks::mpsc_recv(self)),
            "task_holder" => tokio::spawn(locks::task_holder(self)),
            "task_waiter" => tokio::spawn(locks::task_waiter(self)),
            "tcp" => tokio::spawn(net::tcp(self)),
            "dns" => tokio::spawn(net::dns(self)),
            "page_touch" => tokio::spawn(memory::page_touch(self)),
            "page_fault" => tokio::spawn(memory::page_fault(self)),
            "drop_map" => tokio::spawn(memory::drop_map(self)),
            "timers" => tokio::spawn(allowed::timers(self)),
            "spawn_blocking" => tokio::spawn(allowed::spawn_blocking(self)),
            "block_in_place" => tokio::spawn(allowed::block_in_place(self)),
            "tokio_fs" => tokio::spawn(allowed::tokio_fs(self)),
            "yield_now" => tokio::spawn(allowed::yield_now(self)),
            "timer" => tokio::spawn(allowed::timer(self)),
            "polls" => tokio::spawn(measured::polls(self)),
            "ping_pong" => tokio::spawn(measured::ping_pong(self)),
            other => unreachable!("{other}"),
        }
    }

    /// False when the time is up.
    pub async fn pause(&self) -> bool {
        tokio::time::sleep(self.pause).await;
        Instant::now() < self.until
    }

    /// Runs `work` and writes down that it held up the worker.
    pub fn blocked<T>(&self, function: &str, work: impl FnOnce() -> T) -> T {
        let begin = now_ns();
        let result = work();
        self.truth.tell(self.kind, false, function, begin, self.id.get());
        result
    }

    /// Writes down what took its time since `begin` and held up nobody.
    pub fn took(&self, function: &str, begin: u64) {
        self.truth.tell(self.kind, true, function, begin, self.id.get());
    }
}

pub fn named_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name(name.to_string()).spawn(work).expect("a thread");
}
