//! A runtime in which one task blocks its thread for 12 ms, again and again.
//!
//! With the feature `multi` it has two workers; without, or with the argument `current`, the main
//! thread drives it; with the argument `leave` another thread does and the main thread ends. With
//! the argument `yield` it blocks more rarely, and another task computes in many short polls. One
//! more thread of the program runs no runtime. Ends after a minute.

use std::ffi::c_long;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

fn main() -> std::io::Result<()> {
    std::thread::spawn(|| std::thread::sleep(Duration::from_secs(60)));
    let asked = |word| std::env::args().skip(1).any(|argument| argument == word);
    let runtime = runtime(asked("current"))?;
    let yields = asked("yield");
    println!("running {}", std::process::id());
    if asked("leave") {
        std::thread::spawn(move || nap_again_and_again(&runtime, yields));
        leave();
    }
    nap_again_and_again(&runtime, yields);
    Ok(())
}

fn nap_again_and_again(runtime: &Runtime, yields: bool) {
    let pause = Duration::from_millis(if yields { 60 } else { 3 });
    runtime.block_on(async {
        let until = Instant::now() + Duration::from_secs(60);
        let task = tokio::spawn(async move {
            while Instant::now() < until {
                take_a_nap();
                tokio::time::sleep(pause).await;
            }
        });
        if yields {
            tokio::spawn(take_many_steps());
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

#[inline(never)]
fn take_a_step() {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(40) {}
}

#[inline(never)]
fn take_a_nap() {
    std::thread::sleep(Duration::from_millis(12));
}
