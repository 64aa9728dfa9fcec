//! Waiting for other threads: for locks that they hold, and for what they send.

use std::hint::black_box;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::specimen::{named_thread, Specimen};

pub async fn mutex(zoo: Specimen) {
    let (shared, holder) = lock_holder(zoo.block);
    while zoo.pause().await {
        holder.hold().await;
        zoo.blocked("update_shared", || update_shared(&shared));
    }
}

pub async fn rwlock(zoo: Specimen) {
    let (shared, holder) = write_holder(zoo.block);
    while zoo.pause().await {
        holder.hold().await;
        zoo.blocked("read_shared", || read_shared(&shared));
    }
}

pub async fn condvar(zoo: Specimen) {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let ask = notifier(pair.clone(), zoo.block);
    while zoo.pause().await {
        zoo.blocked("wait_for_news", || wait_for_news(&pair, &ask));
    }
}

pub async fn mpsc_recv(zoo: Specimen) {
    let (ask, answers) = answerer(zoo.block);
    while zoo.pause().await {
        zoo.blocked("receive_answer", || receive_answer(&ask, &answers));
    }
}

/// Holds a lock over slow work, inside its own poll: that is a blocker, too.
pub async fn task_holder(zoo: Specimen) {
    let waiter = messenger();
    while zoo.pause().await {
        zoo.blocked("hold_in_task", || hold_in_task(&waiter, zoo.block));
    }
}

/// Wants the lock that the task of `task_holder` holds.
pub async fn task_waiter(zoo: Specimen) {
    while zoo.pause().await {
        let (tell, told) = oneshot::channel();
        *common().held.lock().unwrap() = Some(tell);
        // without a holder, or at the end, nobody tells
        let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
        zoo.blocked("want_in_task", want_in_task);
    }
}

fn update_shared(shared: &Mutex<u64>) {
    *shared.lock().unwrap() += 1;
}

fn read_shared(shared: &RwLock<u64>) -> u64 {
    *shared.read().unwrap()
}

fn wait_for_news(pair: &(Mutex<bool>, Condvar), ask: &Sender<()>) {
    let (news, changed) = pair;
    let mut known = news.lock().unwrap();
    ask.send(()).expect("a thread that notifies");
    while !*known {
        known = changed.wait(known).unwrap();
    }
    *known = false;
}

fn receive_answer(ask: &Sender<()>, answers: &Receiver<()>) {
    ask.send(()).expect("a thread that answers");
    answers.recv().expect("a thread that answers");
}

fn hold_in_task(waiter: &Sender<oneshot::Sender<()>>, block: Duration) {
    let mut guard = common().lock.lock().unwrap();
    if let Some(tell) = common().held.lock().unwrap().take() {
        // by way of another thread: what a worker wakes may wait for this very worker
        let _ = waiter.send(tell);
    }
    std::thread::sleep(block);
    *guard += 1;
    drop(guard);
    black_box(waiter); // or else the last call replaces this function on the stack
}

fn want_in_task() {
    *common().lock.lock().unwrap() += 1;
}

/// What the two tasks have in common.
#[derive(Default)]
struct Common {
    lock: Mutex<u64>,
    held: Mutex<Option<oneshot::Sender<()>>>,
}

fn common() -> &'static Common {
    static COMMON: OnceLock<Common> = OnceLock::new();
    COMMON.get_or_init(Common::default)
}

struct Holder {
    ask: Sender<oneshot::Sender<()>>,
}

impl Holder {
    /// Ready when the other thread has the lock; it lets go of it by itself.
    async fn hold(&self) {
        let (tell, told) = oneshot::channel();
        self.ask.send(tell).expect("a thread that holds");
        told.await.expect("a thread that holds");
    }
}

/// A mutex, and a thread that takes it when asked and keeps it for `block`.
fn lock_holder(block: Duration) -> (Arc<Mutex<u64>>, Holder) {
    let shared = Arc::new(Mutex::new(0));
    let (ask, asked) = channel::<oneshot::Sender<()>>();
    let theirs = shared.clone();
    named_thread("lock-holder", move || {
        for tell in asked {
            keep_lock(&theirs, tell, block);
        }
    });
    (shared, Holder { ask })
}

#[inline(never)]
fn keep_lock(shared: &Mutex<u64>, tell: oneshot::Sender<()>, block: Duration) {
    let mut guard = shared.lock().unwrap();
    let _ = tell.send(());
    std::thread::sleep(block);
    *guard += 1;
    drop(guard);
    black_box(shared); // or else the last call replaces this function on the stack
}

/// The same with a lock for writing.
fn write_holder(block: Duration) -> (Arc<RwLock<u64>>, Holder) {
    let shared = Arc::new(RwLock::new(0));
    let (ask, asked) = channel::<oneshot::Sender<()>>();
    let theirs = shared.clone();
    named_thread("write-holder", move || {
        for tell in asked {
            keep_for_writing(&theirs, tell, block);
        }
    });
    (shared, Holder { ask })
}

#[inline(never)]
fn keep_for_writing(shared: &RwLock<u64>, tell: oneshot::Sender<()>, block: Duration) {
    let mut guard = shared.write().unwrap();
    let _ = tell.send(());
    std::thread::sleep(block);
    *guard += 1;
    drop(guard);
    black_box(shared); // or else the last call replaces this function on the stack
}

/// A thread that changes the value `block` after it was asked, and says so.
fn notifier(pair: Arc<(Mutex<bool>, Condvar)>, block: Duration) -> Sender<()> {
    let (ask, asked) = channel();
    named_thread("notifier", move || {
        for () in asked {
            std::thread::sleep(block);
            *pair.0.lock().unwrap() = true;
            pair.1.notify_one();
        }
    });
    ask
}

/// A thread that answers `block` after it was asked.
fn answerer(block: Duration) -> (Sender<()>, Receiver<()>) {
    let (ask, asked) = channel();
    let (answer, answers) = channel();
    named_thread("answerer", move || {
        for () in asked {
            std::thread::sleep(block);
            if answer.send(()).is_err() {
                return;
            }
        }
    });
    (ask, answers)
}

/// A thread that passes on word at once.
fn messenger() -> Sender<oneshot::Sender<()>> {
    let (ask, asked) = channel::<oneshot::Sender<()>>();
    named_thread("messenger", move || {
        for tell in asked {
            let _ = tell.send(());
        }
    });
    ask
}
