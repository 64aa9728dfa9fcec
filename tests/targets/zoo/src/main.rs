//! Runs one specimen of each kind of blocking, over and over, and writes down when it did.
//!
//! The truth file has one JSON object per line, written when a specimen ends:
//!
//! ```text
//! {"kind":"sort","allowed":false,"function":"sort_numbers","begin":B,"end":E,"tid":T,"task":I}
//! ```
//!
//! `begin` and `end` are CLOCK_MONOTONIC nanoseconds taken in the thread `tid` right around the
//! call; `task` is Tokio's id of the task, or null in the root future. `allowed` specimens hold up
//! no worker, and a profiler must not report them; theirs may begin and end in different threads
//! (`tid` is then the last one). A first line `{"pid":P,"workers":W,"flavor":F}` says what runs.

mod allowed;
mod blocking;
mod locks;
mod measured;
mod memory;
mod net;
mod options;
mod specimen;
mod truth;
mod userfault;

use std::ffi::{c_char, CStr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use options::{Flavor, Options};
use specimen::Specimen;
use truth::Truth;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("zoo: {message}\n{}\nkinds: {}", options::USAGE, options::kinds().join(","));
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zoo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The zoo inside another program, which loaded it as a shared object; 0 when all went well.
///
/// # Safety
/// `arguments` is a C string: those of the command line, a line each.
#[no_mangle]
pub unsafe extern "C" fn zoo_start(arguments: *const c_char) -> i32 {
    // SAFETY: promised by the caller.
    let arguments = unsafe { CStr::from_ptr(arguments) }.to_string_lossy();
    let options = Options::from_args(arguments.lines().map(String::from));
    match options.and_then(|options| run(&options).map_err(|error| error.to_string())) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("zoo: {error}");
            1
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let truth: &'static Truth = Box::leak(Box::new(Truth::create(options)?));
    for round in 0..options.runtimes {
        run_one(options, truth, round)?;
    }
    Ok(())
}

/// Builds a runtime, keeps it busy, and shuts it down.
fn run_one(options: &Options, truth: &'static Truth, round: u32) -> std::io::Result<()> {
    let until = Instant::now() + Duration::from_secs(options.seconds) / options.runtimes;
    let runtime = runtime(options)?;
    if round == 0 {
        println!("running {}", std::process::id());
    }
    runtime.block_on(async {
        let tasks: Vec<_> = options
            .kinds
            .iter()
            .filter(|kind| **kind != "root")
            .map(|kind| {
                let specimen = Specimen::new(kind, truth, until, options);
                let id = specimen.id();
                let task = specimen.spawn();
                id.learn(&task);
                task
            })
            .collect();
        if options.kinds.contains(&"root") {
            blocking::root(Specimen::new("root", truth, until, options)).await;
        }
        for task in tasks {
            task.await.expect("a specimen that ends well");
        }
    });
    runtime.shutdown_background();
    Ok(())
}

fn runtime(options: &Options) -> std::io::Result<Runtime> {
    let mut builder = match options.flavor {
        Flavor::MultiThread => Builder::new_multi_thread(),
        Flavor::CurrentThread => Builder::new_current_thread(),
    };
    builder.worker_threads(options.workers);
    if let Some(name) = &options.thread_name {
        builder.thread_name(name);
    }
    builder.enable_all().build()
}
