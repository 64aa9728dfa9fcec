//! The truth file: one line per deed that ended.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::raw::c_int;

pub struct Truth {
    file: File,
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    fn gettid() -> c_int;
}

const CLOCK_MONOTONIC: c_int = 1;

/// CLOCK_MONOTONIC, the clock of the kernel's own events.
pub fn now_ns() -> u64 {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` outlives the call, and this clock always exists.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

impl Truth {
    pub fn create(path: &str) -> Self {
        let open = OpenOptions::new().append(true).create(true).open(path);
        let truth = Truth { file: open.expect("a writable truth file") };
        truth.line(&format!("{{\"pid\":{}}}\n", std::process::id()));
        truth
    }

    /// Runs `work` and writes down that it held up the worker in `function`.
    pub fn blocked<T>(&self, kind: &str, function: &str, work: impl FnOnce() -> T) -> T {
        let begin = now_ns();
        let result = work();
        self.tell(kind, false, function, begin);
        result
    }

    /// Writes down what took its time since `begin` and held up nobody.
    pub fn took(&self, kind: &str, begin: u64) {
        self.tell(kind, true, kind, begin);
    }

    fn tell(&self, kind: &str, allowed: bool, function: &str, begin: u64) {
        // SAFETY: no arguments, cannot fail.
        let (end, tid) = (now_ns(), unsafe { gettid() });
        self.line(&format!(
            "{{\"kind\":\"{kind}\",\"allowed\":{allowed},\"function\":\"{function}\",\
             \"begin\":{begin},\"end\":{end},\"tid\":{tid}}}\n"
        ));
    }

    /// One write of an O_APPEND file: whole lines from any thread, and nothing is lost in a kill.
    fn line(&self, line: &str) {
        (&self.file).write_all(line.as_bytes()).expect("a writable truth file");
    }
}
