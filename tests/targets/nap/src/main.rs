//! A runtime in which one task blocks its thread for 12 ms, again and again.
//!
//! With the feature `multi` it has two workers; without, or with the argument `current`, the main
//! thread drives it; with the argument `leave` another thread does and the main thread ends. With
//! the argument `yield` it blocks more rarely, and another task computes in many short polls; with
//! `unconstrained` its polls have no budget, and the runtime is idle between them; another task has
//! one, and naps shortly. One more thread of the program runs no runtime. Ends after a minute.

use std::ffi::c_long;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

fn main() -> std::io::Result<()> {
    std::thread::spawn(|| std::thread::sleep(Duration::from_secs(60)));
    let asked = |word| std::env::args().skip(1).any(|argument| argument == word);
    let runtime = runtime(asked("current"))?;
    let how = How { yields: asked("yield"), unconstrained: asked("unconstrained") };
    println!("running {}", std::process::id());
    if asked("leave") {
        std::thread::spawn(move || nap_again_and_again(&runtime, how));
        leave();
    }
    nap_again_and_again(&runtime, how);
    Ok(())
}

#[derive(Clone, Copy)]
struct How {
    yields: bool,
    unconstrained: bool,
}

impl How {
    fn pause(self) -> Duration {
        Duration::from_millis(match self {
            How { yields: true, .. } => 60,
            How { unconstrained: true, .. } => 20,
            _ => 3,
        })
    }
}

fn nap_again_and_again(runtime: &Runtime, how: How) {
    let pause = how.pause();
    runtime.block_on(async {
        let until = Instant::now() + Duration::from_secs(60);
        let naps = async move {
            while Instant::now() < until {
                take_a_nap();
                tokio::time::sleep(pause).await;
            }
        };
        let task = match how.unconstrained {
            true => tokio::spawn(tokio::task::unconstrained(naps)),
            false => tokio::spawn(naps),
        };
        if how.yields {
            tokio::spawn(take_many_steps());
        }
        if how.unconstrained {
            tokio::spawn(take_short_naps());
        }
        task.await.expect("a task that ends well");
    });
}

/// Ends the calling thread, not the process, as `pthread_exit` does.
fn leave() -> ! {
    extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }
    const SYS_EXIT: c_long = if cfg!(target_arch = "x86_64") { 60 } else { 93 };
    unsafe { syscall(SYS_EXIT, 0) };
    unreachable!("the thread has ended")
}

#[cfg(feature = "multi")]
fn runtime(current: bool) -> std::io::Result<Runtime> {
    if current {
        return Builder::new_current_thread().enable_time().build();
    }
    Builder::new_multi_thread().worker_threads(2).enable_time().build()
}

#[cfg(not(feature = "multi"))]
fn runtime(_current: bool) -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

/// Sixteen milliseconds at a time, and none of its polls is long.
async fn take_many_steps() {
    loop {
        for _ in 0..400 {
            take_a_step();
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Too short to count: these are polls with a budget.
async fn take_short_naps() {
    loop {
        std::thread::sleep(Duration::from_millis(2));
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

#[inline(never)]
fn take_a_step() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(40) {}
}

#[inline(never)]
fn take_a_nap() {
    std::thread::sleep(Duration::from_millis(12));
}
