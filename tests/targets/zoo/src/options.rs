//! The command line, and the table of kinds.

use std::path::PathBuf;
use std::time::Duration;

pub const USAGE: &str =
    "usage: zoo --truth FILE [--seconds N] [--flavor multi_thread|current_thread] \
[--workers N] [--runtimes N] [--thread-name NAME] [--kinds A,B,...] [--block-ms N] [--pause-ms N] [--dir DIR]";

pub const BLOCKING: [&str; 23] = [
    "cpu",
    "sort",
    "bcrypt",
    "deflate",
    "json",
    "thread_sleep",
    "mutex",
    "file_fsync",
    "pipe",
    "child",
    "rwlock",
    "condvar",
    "mpsc_recv",
    "task_holder",
    "task_waiter",
    "tcp",
    "dns",
    "page_touch",
    "page_fault",
    "drop_map",
    "deep_await",
    "block_on",
    "root",
];
pub const ALLOWED: [&str; 6] =
    ["spawn_blocking", "block_in_place", "tokio_fs", "yield_now", "timer", "timers"];
/// Measured, not judged: run only when asked for. Their truth counts in `function`: `polls_123`.
pub const MEASURED: [&str; 2] = ["polls", "ping_pong"];

pub fn kinds() -> Vec<&'static str> {
    BLOCKING.into_iter().chain(ALLOWED).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    MultiThread,
    CurrentThread,
}

pub struct Options {
    pub truth: PathBuf,
    pub seconds: u64,
    pub flavor: Flavor,
    pub workers: usize,
    /// One after the other, each for its part of the time.
    pub runtimes: u32,
    pub thread_name: Option<String>,
    pub kinds: Vec<&'static str>,
    /// How long a specimen blocks, at least.
    pub block: Duration,
    /// How long it pauses between two times.
    pub pause: Duration,
    /// Where files are written.
    pub dir: PathBuf,
}

impl Options {
    /// Without `--kinds`: all of them, but `block_in_place` only where the flavor allows it.
    pub fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            truth: PathBuf::new(),
            seconds: 5,
            flavor: Flavor::MultiThread,
            workers: 4,
            runtimes: 1,
            thread_name: None,
            kinds: Vec::new(),
            block: Duration::from_millis(12),
            pause: Duration::from_millis(20),
            dir: std::env::temp_dir(),
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--truth" => options.truth = PathBuf::from(value),
                "--seconds" => options.seconds = number(&flag, &value)?,
                "--flavor" => options.flavor = flavor(&value)?,
                "--workers" => options.workers = number::<usize>(&flag, &value)?.max(1),
                "--runtimes" => options.runtimes = number::<u32>(&flag, &value)?.max(1),
                "--thread-name" => options.thread_name = Some(value),
                "--kinds" => {
                    options.kinds = value.split(',').map(kind).collect::<Result<_, _>>()?
                }
                "--block-ms" => options.block = Duration::from_millis(number(&flag, &value)?),
                "--pause-ms" => options.pause = Duration::from_millis(number(&flag, &value)?),
                "--dir" => options.dir = PathBuf::from(value),
                _ => return Err(format!("unknown option {flag}")),
            }
        }
        if options.truth.as_os_str().is_empty() {
            return Err("--truth FILE is needed".to_string());
        }
        let in_place = options.flavor == Flavor::MultiThread;
        if options.kinds.is_empty() {
            options.kinds = kinds();
            options.kinds.retain(|kind| in_place || *kind != "block_in_place");
        } else if !in_place && options.kinds.contains(&"block_in_place") {
            return Err("block_in_place: not in a current_thread runtime".to_string());
        }
        Ok(options)
    }
}

fn kind(name: &str) -> Result<&'static str, String> {
    let mut known = kinds().into_iter().chain(MEASURED);
    known.find(|kind| *kind == name).ok_or_else(|| format!("unknown kind {name}"))
}

fn flavor(value: &str) -> Result<Flavor, String> {
    match value {
        "multi_thread" => Ok(Flavor::MultiThread),
        "current_thread" => Ok(Flavor::CurrentThread),
        _ => Err(format!("--flavor {value}: not multi_thread or current_thread")),
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not a number in range"))
}
