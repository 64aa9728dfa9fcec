//! The truth file: one line per specimen that ended.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::options::{Flavor, Options};

pub struct Truth {
    file: File,
}

/// CLOCK_MONOTONIC, the clock of the kernel's own events.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, and this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub fn thread_id() -> i32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::gettid() }
}

impl Truth {
    pub fn create(options: &Options) -> std::io::Result<Self> {
        let open = OpenOptions::new().append(true).create(true).open(&options.truth);
        let truth = Truth { file: open? };
        truth.file.set_len(0)?;
        let (flavor, workers) = match options.flavor {
            Flavor::MultiThread => ("multi_thread", options.workers),
            Flavor::CurrentThread => ("current_thread", 1),
        };
        let pid = std::process::id();
        truth.line(&format!("{{\"pid\":{pid},\"workers\":{workers},\"flavor\":\"{flavor}\"}}\n"));
        Ok(truth)
    }

    pub fn tell(&self, kind: &str, allowed: bool, function: &str, begin: u64, task: u64) {
        let (end, tid) = (now_ns(), thread_id());
        let task = if task == 0 { "null".to_string() } else { task.to_string() };
        self.line(&format!(
            "{{\"kind\":\"{kind}\",\"allowed\":{allowed},\"function\":\"{function}\",\
             \"begin\":{begin},\"end\":{end},\"tid\":{tid},\"task\":{task}}}\n"
        ));
    }

    /// One write of an O_APPEND file: whole lines from any thread without a lock, and nothing is
    /// lost when the process is killed.
    fn line(&self, line: &str) {
        (&self.file).write_all(line.as_bytes()).expect("a writable truth file");
    }
}
