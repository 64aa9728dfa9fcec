//! Blocks its workers in a few ways, each told by a function of its own, and writes down when.
//!
//! ```text
//! corpus TRUTH SECONDS [current]
//! ```
//!
//! The truth file is that of the zoo, a line for each deed: `function` is the plain function to
//! blame, `allowed` what no profiler may report. Plain old Rust, for the oldest compilers that
//! build a Tokio: what differs between two builds is the compiler, the linker and Tokio.

mod allowed;
mod blocking;
mod truth;

use std::ffi::CStr;
use std::os::raw::c_char;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use truth::Truth;

/// What every task has.
#[derive(Clone, Copy)]
pub struct Place {
    truth: &'static Truth,
    until: Instant,
}

impl Place {
    /// False when the time is up.
    pub async fn pause(&self) -> bool {
        tokio::time::sleep(Duration::from_millis(25)).await;
        Instant::now() < self.until
    }
}

#[cfg(feature = "large")]
thread_local! {
    static LARGE: std::cell::RefCell<[u8; 100_000]> = std::cell::RefCell::new([1; 100_000]);
}

#[allow(dead_code)] // of the shared object
fn main() {
    run(std::env::args().skip(1).collect());
}

/// The corpus inside another program, which loaded it as a shared object.
///
/// # Safety
/// `arguments` is a C string: those of the command line, a line each.
#[no_mangle]
pub unsafe extern "C" fn corpus_start(arguments: *const c_char) {
    // SAFETY: promised by the caller.
    let arguments = unsafe { CStr::from_ptr(arguments) }.to_string_lossy();
    run(arguments.lines().map(String::from).collect());
}

fn run(arguments: Vec<String>) {
    let (path, seconds) = (&arguments[0], arguments[1].parse().expect("seconds"));
    let current = !cfg!(feature = "multi") || arguments.get(2).map_or(false, |it| it == "current");
    let truth: &'static Truth = Box::leak(Box::new(Truth::create(path)));
    let runtime = runtime(current);
    #[cfg(feature = "large")]
    LARGE.with(|large| std::hint::black_box(large.as_ptr()));
    println!("running {}", std::process::id());
    let place = Place { truth, until: Instant::now() + Duration::from_secs(seconds) };
    runtime.block_on(async move {
        let mut tasks = blocking::start(place);
        tasks.extend(allowed::start(place, current));
        for task in tasks {
            task.await.expect("a task that ends well");
        }
    });
    runtime.shutdown_background();
}

#[cfg(feature = "multi")]
fn runtime(current: bool) -> Runtime {
    let mut builder =
        if current { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(3).enable_all().build().expect("a runtime")
}

#[cfg(not(feature = "multi"))]
fn runtime(_current: bool) -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
